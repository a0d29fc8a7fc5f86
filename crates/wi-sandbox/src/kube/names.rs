//! Names, label keys and label values as Kubernetes has them, and its words for those that are none.
//!
//! From k8s.io/apimachinery `util/validation`.

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NAME_PART: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// What is wrong with a namespace's name.
pub fn label(name: &str) -> Result<(), String> {
    if name.contains('.') {
        return Err("must not contain dots".to_owned());
    }
    at_most(name, 63)?;
    is_label(name).then_some(()).ok_or(LABEL.to_owned())
}

/// What is wrong with the name of anything else.
pub fn subdomain(name: &str) -> Result<(), String> {
    at_most(name, 253)?;
    let good = name.split('.').all(is_label);
    good.then_some(()).ok_or(SUBDOMAIN.to_owned())
}

/// What is wrong with `[prefix/]name`, the key of a label.
pub fn qualified(key: &str) -> Result<(), String> {
    let name = match key.split('/').collect::<Vec<_>>()[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                return Err("prefix part must be non-empty".to_owned());
            }
            subdomain(prefix).map_err(|why| format!("prefix part {why}"))?;
            name
        }
        _ => {
            return Err(format!(
                "a qualified name {NAME_PART} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
        }
    };
    if name.is_empty() {
        return Err("name part must be non-empty".to_owned());
    }
    at_most(name, 63).map_err(|why| format!("name part {why}"))?;
    let good = is_value(name);
    good.then_some(()).ok_or(format!("name part {NAME_PART}"))
}

/// What is wrong with the value of a label.
pub fn value(value: &str) -> Result<(), String> {
    at_most(value, 63)?;
    is_value(value).then_some(()).ok_or(LABEL_VALUE.to_owned())
}

fn at_most(name: &str, limit: usize) -> Result<(), String> {
    let fits = name.len() <= limit;
    let why = || format!("must be no more than {limit} characters");
    fits.then_some(()).ok_or_else(why)
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
fn is_label(name: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.first().is_some_and(inner)
        && bytes.last().is_some_and(inner)
        && bytes.iter().all(|byte| inner(byte) || *byte == b'-')
}

/// `(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?`
fn is_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
