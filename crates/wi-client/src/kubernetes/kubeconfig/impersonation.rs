//! Acting as somebody else: the headers that client-go sends for `as`, `as-uid`, `as-groups` and
//! `as-user-extra`.

use http::{HeaderMap, HeaderName, HeaderValue};
use wi_core::percent;

use super::Fault;
use super::file::User;

/// The headers; empty where the user acts as itself. The error is for the user, without the file.
pub(super) fn headers(user: &User) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    if user.as_user.is_empty() {
        let more =
            !(user.as_uid.is_empty() && user.as_groups.is_empty() && user.as_user_extra.is_empty());
        return if more {
            Err(Fault::ActsAsNobody)
        } else {
            Ok(headers)
        };
    }
    let mut send = |name: &str, value: &str, field: &'static str| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok();
        let value = HeaderValue::from_bytes(value.as_bytes()).ok();
        let (name, value) = name.zip(value).ok_or(Fault::NoHeader(field))?;
        headers.append(name, value);
        Ok::<_, Fault>(())
    };
    send("impersonate-user", &user.as_user, "as")?;
    if !user.as_uid.is_empty() {
        send("impersonate-uid", &user.as_uid, "as-uid")?;
    }
    for group in &user.as_groups {
        send("impersonate-group", group, "as-groups")?;
    }
    for (key, values) in &user.as_user_extra {
        // The server makes all of it lower case, whatever is sent.
        let name = format!("impersonate-extra-{}", percent::header_name(key));
        for value in values.iter().flatten() {
            send(&name, value, "as-user-extra")?;
        }
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(yaml: &str) -> User {
        serde_saphyr::from_str(yaml).expect("a user")
    }

    #[test]
    fn all_of_it_is_sent() {
        let user = user(
            "{ as: jane, as-uid: '42', as-groups: [devs, ops], as-user-extra: { acme.com/project: [a, b], scopes: [c], none: null } }",
        );
        let headers = headers(&user).expect("headers");
        let all = |name: &str| -> Vec<&str> {
            let values = headers.get_all(name).iter();
            values.map(|v| v.to_str().expect("text")).collect()
        };
        assert_eq!(all("impersonate-user"), ["jane"]);
        assert_eq!(all("impersonate-uid"), ["42"]);
        assert_eq!(all("impersonate-group"), ["devs", "ops"]);
        assert_eq!(all("impersonate-extra-acme.com%2Fproject"), ["a", "b"]);
        assert_eq!(all("impersonate-extra-scopes"), ["c"]);
        assert_eq!(headers.len(), 7);
    }

    #[test]
    fn nobody_and_half_of_somebody() {
        assert!(headers(&user("{ token: x }")).expect("none").is_empty());
        let half = headers(&user("{ as-groups: [devs] }")).expect_err("no user");
        assert_eq!(half, Fault::ActsAsNobody);
        let torn = headers(&user(r#"{ as: "a\nb" }"#)).expect_err("no header");
        assert_eq!(torn, Fault::NoHeader("as"));
    }
}
