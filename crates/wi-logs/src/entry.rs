//! One audit entry, as far as it is looked at: about twenty fields, borrowed from the line. The spellings of
//! Cloud Logging and of its export to BigQuery, where all are small letters and numbers may be texts.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::when::{self, Micros};

/// A text, a number or a truth value; all else is empty. `bq` prints each of them as a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Of;
        impl<'de> Visitor<'de> for Of {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
            fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(if v { "true" } else { "false" })))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_string())))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_string())))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(v.to_string())))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Text::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text::default())
            }
        }
        from.deserialize_any(Of)
    }
}

/// A struct of fields by name, each with its spellings; a value of another kind, or `null`, is as if it were
/// not there, and so is a field that nobody knows. Of two spellings the last one counts.
macro_rules! fields {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $kind:ty = $($key:literal)|+;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default)]
        pub struct $name<'a> {
            $($(#[$fdoc])* pub $field: $kind,)*
            _of: std::marker::PhantomData<&'a ()>,
        }
        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Of<'a>(std::marker::PhantomData<&'a ()>);
                impl<'de: 'a, 'a> Visitor<'de> for Of<'a> {
                    type Value = $name<'a>;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(stringify!($name))
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut all = $name::default();
                        while let Some(key) = map.next_key::<Text<'de>>()? {
                            match key.as_str() {
                                $($($key)|+ => all.$field = map.next_value()?,)*
                                _ => { map.next_value::<IgnoredAny>()?; }
                            }
                        }
                        Ok(all)
                    }
                    fn visit_unit<E>(self) -> Result<Self::Value, E> { Ok($name::default()) }
                    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> { Ok($name::default()) }
                    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> { Ok($name::default()) }
                    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> { Ok($name::default()) }
                    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> { Ok($name::default()) }
                    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> { Ok($name::default()) }
                    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                        while seq.next_element::<IgnoredAny>()?.is_some() {}
                        Ok($name::default())
                    }
                }
                from.deserialize_any(Of(std::marker::PhantomData))
            }
        }
    };
}

/// A list; anything else is an empty one.
#[derive(Debug, Clone)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Of<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Of<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = seq.next_element()? {
                    all.push(item);
                }
                Ok(List(all))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(List::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(List::default())
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(List::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(List::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(List::default())
            }
            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(List::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(List::default())
            }
        }
        from.deserialize_any(Of(std::marker::PhantomData))
    }
}

fields! {
    /// A `LogEntry` of Cloud Audit Logs, or a row of what `wi logs sql` asks for, which stands for many.
    Entry {
        /// `projects/P/logs/cloudaudit.googleapis.com%2Fdata_access`.
        log_name: Text<'a> = "logName" | "logname" | "log_name";
        /// When.
        timestamp: Text<'a> = "timestamp";
        /// With the two above it names the entry.
        insert_id: Text<'a> = "insertId" | "insertid" | "insert_id";
        /// What it is about.
        resource: Resource<'a> = "resource";
        /// What was done.
        payload: Payload<'a> = "protoPayload" | "protopayload_auditlog" | "protopayload";
        /// Of a row: for how many entries it stands.
        wi_calls: Text<'a> = "wi_calls";
        /// Of a row: the last of them.
        wi_last: Text<'a> = "wi_last";
    }
}

fields! {
    /// `MonitoredResource`.
    Resource {
        /// `service_account`.
        kind: Text<'a> = "type";
        /// Its labels.
        labels: Labels<'a> = "labels";
    }
}

fields! {
    /// Labels of resources that are looked at.
    Labels {
        /// The project.
        project: Text<'a> = "project_id";
        /// The account's address.
        email: Text<'a> = "email_id";
        /// The account's number.
        unique_id: Text<'a> = "unique_id";
        /// The cluster.
        cluster: Text<'a> = "cluster_name";
    }
}

fields! {
    /// `google.cloud.audit.AuditLog`.
    Payload {
        /// `storage.googleapis.com`.
        service: Text<'a> = "serviceName" | "servicename";
        /// `storage.objects.get`.
        method: Text<'a> = "methodName" | "methodname";
        /// The object.
        resource_name: Text<'a> = "resourceName" | "resourcename";
        /// How it ended.
        status: Status<'a> = "status";
        /// Who.
        authentication: Authentication<'a> = "authenticationInfo" | "authenticationinfo";
        /// By which right.
        authorization: List<Authorization<'a>> = "authorizationInfo" | "authorizationinfo";
        /// From where.
        request: RequestMetadata<'a> = "requestMetadata" | "requestmetadata";
        /// Of tokens: the chain of identities.
        metadata: Metadata<'a> = "metadata";
        /// The same as text, as BigQuery has it.
        metadata_json: Text<'a> = "metadataJson" | "metadatajson";
        /// What a policy's change changed.
        service_data: ServiceData<'a> = "serviceData" | "servicedata_v1_iam" | "servicedata";
        /// Of a row: what a policy's change changed, and the regions, as text.
        changed_json: Text<'a> = "wi_changed";
        /// See above.
        regions_json: Text<'a> = "wi_regions";
        /// In which regions.
        locations: ResourceLocation<'a> = "resourceLocation" | "resourcelocation";
    }
}

fields! {
    /// `google.rpc.Status`.
    Status {
        /// 7: denied.
        code: Text<'a> = "code";
    }
}

fields! {
    /// `AuthenticationInfo`.
    Authentication {
        /// An email.
        email: Text<'a> = "principalEmail" | "principalemail";
        /// `serviceAccount:P.svc.id.goog[NS/KSA]`.
        subject: Text<'a> = "principalSubject" | "principalsubject";
        /// `//iam.googleapis.com/projects/P/serviceAccounts/EMAIL/keys/ID`.
        key: Text<'a> = "serviceAccountKeyName" | "serviceaccountkeyname";
        /// Of a row: through whom, as text.
        delegation_json: Text<'a> = "wi_delegation";
        /// Through whom.
        delegation: List<Delegation<'a>> = "serviceAccountDelegationInfo" | "serviceaccountdelegationinfo";
    }
}

fields! {
    /// `ServiceAccountDelegationInfo`.
    Delegation {
        /// Who was the account.
        subject: Text<'a> = "principalSubject" | "principalsubject";
        /// A person or an account.
        first_party: FirstParty<'a> = "firstPartyPrincipal" | "firstpartyprincipal";
    }
}

fields! {
    /// `FirstPartyPrincipal`.
    FirstParty {
        /// Its address.
        email: Text<'a> = "principalEmail" | "principalemail";
    }
}

fields! {
    /// `AuthorizationInfo`.
    Authorization {
        /// `storage.objects.get`.
        permission: Text<'a> = "permission";
        /// Not there where it was denied.
        granted: Text<'a> = "granted";
        /// On what.
        resource: Text<'a> = "resource";
    }
}

fields! {
    /// `RequestMetadata`.
    RequestMetadata {
        /// An address, `private` or `gce-internal-ip`.
        caller_ip: Text<'a> = "callerIp" | "callerip";
        /// The program.
        agent: Text<'a> = "callerSuppliedUserAgent" | "callersupplieduseragent";
        /// The VPC: `//compute.googleapis.com/projects/P/global/networks/N`, where `N` mostly is `__unknown__`.
        network: Text<'a> = "callerNetwork" | "callernetwork";
        /// The request itself.
        attributes: RequestAttributes<'a> = "requestAttributes" | "requestattributes";
    }
}

fields! {
    /// `AttributeContext.Request`.
    RequestAttributes {
        /// The host that was asked.
        host: Text<'a> = "host";
    }
}

fields! {
    /// `metadata` of iamcredentials' and STS' entries.
    Metadata {
        /// Whoever acts through whom; the account itself, where there is no delegation.
        chain: List<Text<'a>> = "identityDelegationChain" | "identitydelegationchain";
        /// Whom a token of STS is for.
        mapped: Text<'a> = "mapped_principal" | "mappedPrincipal";
    }
}

fields! {
    /// `google.iam.v1.logging.AuditData`.
    ServiceData {
        /// What changed.
        delta: PolicyDelta<'a> = "policyDelta" | "policydelta";
    }
}

fields! {
    /// `PolicyDelta`.
    PolicyDelta {
        /// Members.
        bindings: List<BindingDelta<'a>> = "bindingDeltas" | "bindingdeltas";
        /// Audit logs.
        audit: List<AuditDelta<'a>> = "auditConfigDeltas" | "auditconfigdeltas";
    }
}

fields! {
    /// `BindingDelta`.
    BindingDelta {
        /// `ADD` or `REMOVE`; `bq` may print its number.
        action: Text<'a> = "action";
        /// The role.
        role: Text<'a> = "role";
        /// Who.
        member: Text<'a> = "member";
    }
}

fields! {
    /// `AuditConfigDelta`.
    AuditDelta {
        /// `ADD` or `REMOVE`.
        action: Text<'a> = "action";
        /// `allServices`.
        service: Text<'a> = "service";
        /// `DATA_READ`.
        log_type: Text<'a> = "logType" | "logtype";
    }
}

fields! {
    /// `ResourceLocation`.
    ResourceLocation {
        /// Regions and zones.
        current: List<Text<'a>> = "currentLocations" | "currentlocations";
    }
}

impl<'a> Entry<'a> {
    /// Reads one. `None`: it is no JSON object.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// Whether it is one of Cloud Audit Logs.
    pub fn is_audit(&self) -> bool {
        self.log_name.as_str().contains("cloudaudit.googleapis.com")
            && !self.payload.method.as_str().is_empty()
    }

    /// When it was.
    pub fn at(&self) -> Option<Micros> {
        when::parse(self.timestamp.as_str())
    }

    /// Whether it is of the log of changes.
    pub fn is_activity(&self) -> bool {
        self.log_name.as_str().ends_with("activity")
    }

    /// Whether it was denied.
    pub fn is_denied(&self) -> bool {
        self.payload.status.code.as_str() == "7"
    }

    /// The project whose log it is in, which is that of the resource.
    pub fn project(&self) -> &str {
        let of_log = self.log_name.as_str().strip_prefix("projects/");
        match of_log.and_then(|rest| rest.split('/').next()) {
            Some(project) => project,
            None => self.resource.labels.project.as_str(),
        }
    }

    /// Who, as it came: the subject where it says more than the email.
    pub fn who(&self) -> &str {
        let authentication = &self.payload.authentication;
        match authentication.email.as_str() {
            "" => authentication.subject.as_str(),
            email => email,
        }
    }

    /// The Google service account that it is about.
    pub fn account(&self) -> &str {
        match self.resource.labels.email.as_str() {
            "" => {
                let name = self.payload.resource_name.as_str();
                match name.split_once("/serviceAccounts/") {
                    Some((_, rest)) => rest.split('/').next().unwrap_or(rest),
                    None => "",
                }
            }
            email => email,
        }
    }

    /// Whoever stands behind the principal, nearest first, as they came; none that is nameless.
    pub fn delegators(&self) -> Vec<Cow<'_, str>> {
        let of = |d: &'_ Delegation<'a>| match d.subject.as_str() {
            "" => d.first_party.email.0.to_string(),
            subject => subject.to_owned(),
        };
        let mut all: Vec<Cow<'_, str>> = self
            .payload
            .authentication
            .delegation
            .0
            .iter()
            .map(|d| Cow::Owned(of(d)))
            .collect();
        all.extend(
            self.payload
                .metadata
                .chain
                .0
                .iter()
                .map(|c| Cow::Borrowed(c.as_str())),
        );
        if let Some(metadata) = of_text::<Metadata<'_>>(&self.payload.metadata_json) {
            all.extend(
                metadata
                    .chain
                    .0
                    .into_iter()
                    .map(|c| Cow::Owned(c.0.into_owned())),
            );
        }
        let json = &self.payload.authentication.delegation_json;
        if let Some(List(row)) = of_text::<List<Delegation<'_>>>(json) {
            all.extend(row.iter().map(|d| {
                Cow::Owned(match d.subject.as_str() {
                    "" => d.first_party.email.0.to_string(),
                    subject => subject.to_owned(),
                })
            }));
        }
        all.retain(|name| !name.is_empty());
        all
    }

    /// Where it was done: regions and zones.
    pub fn regions(&self) -> Vec<Cow<'_, str>> {
        let own = &self.payload.locations.current.0;
        let mut all: Vec<Cow<'_, str>> = own.iter().map(|r| Cow::Borrowed(r.as_str())).collect();
        if let Some(List(row)) = of_text::<List<Text<'_>>>(&self.payload.regions_json) {
            all.extend(row.into_iter().map(|r| Cow::Owned(r.0.into_owned())));
        }
        all
    }

    /// What a policy's change changed: `ADD roles/x MEMBER`, `REMOVE audit SERVICE TYPE`.
    pub fn changes(&self) -> Vec<String> {
        let row = of_text::<PolicyDelta<'_>>(&self.payload.changed_json).unwrap_or_default();
        let of = |delta: &PolicyDelta<'_>| {
            let bindings = delta.bindings.0.iter().map(|d| {
                format!(
                    "{} {} {}",
                    action(&d.action),
                    d.role.as_str(),
                    d.member.as_str()
                )
            });
            let audit = delta.audit.0.iter().map(|d| {
                format!(
                    "{} audit {} {}",
                    action(&d.action),
                    d.service.as_str(),
                    d.log_type.as_str()
                )
            });
            bindings.chain(audit).collect::<Vec<_>>()
        };
        let mut all = of(&self.payload.service_data.delta);
        all.extend(of(&row));
        all
    }
}

/// What a text of JSON says; most entries have none.
fn of_text<'t, T: Deserialize<'t>>(text: &'t Text<'_>) -> Option<T> {
    let text = text.as_str();
    (!text.is_empty()).then(|| serde_json::from_str(text).ok())?
}

/// `ADD` or `REMOVE`, which some exports have as a number.
fn action(action: &Text<'_>) -> &'static str {
    match action.as_str() {
        "ADD" | "1" => "ADD",
        "REMOVE" | "2" => "REMOVE",
        _ => "CHANGE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_entry() {
        let logging = br#"{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Fdata_access","timestamp":"2026-11-05T03:12:44.123456789Z","insertId":"a","protoPayload":{"serviceName":"iamcredentials.googleapis.com","methodName":"GenerateAccessToken","status":{"code":7},"authenticationInfo":{"principalSubject":"serviceAccount:p.svc.id.goog[shop/web]","serviceAccountDelegationInfo":[{}]},"authorizationInfo":[{"permission":"x","granted":true}],"metadata":{"identityDelegationChain":["g@p"]}}}"#;
        let bigquery = br#"{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Fdata_access","timestamp":"2026-11-05 03:12:44.123456 UTC","insertId":"a","protopayload_auditlog":{"servicename":"iamcredentials.googleapis.com","methodname":"GenerateAccessToken","status":{"code":"7","message":null},"authenticationinfo":{"principalsubject":"serviceAccount:p.svc.id.goog[shop/web]","principalemail":null,"serviceaccountdelegationinfo":[]},"authorizationinfo":[{"permission":"x","granted":"true"}],"metadataJson":"{\"identityDelegationChain\":[\"g@p\"]}"}}"#;
        let a = Entry::parse(logging).expect("JSON");
        let b = Entry::parse(bigquery).expect("JSON");
        for e in [&a, &b] {
            assert!(e.is_audit() && e.is_denied() && !e.is_activity());
            assert_eq!(e.who(), "serviceAccount:p.svc.id.goog[shop/web]");
            assert_eq!(e.project(), "p");
            assert_eq!(e.delegators(), ["g@p"]);
            assert_eq!(e.payload.authorization.0[0].granted.as_str(), "true");
        }
        assert_eq!(a.at(), b.at());
        assert!(a.at().is_some());
    }

    #[test]
    fn values_of_another_kind_are_none() {
        let odd = br#"{"logName":["x"],"protoPayload":"text","resource":7,"timestamp":{}}"#;
        let entry = Entry::parse(odd).expect("JSON");
        assert!(!entry.is_audit() && entry.at().is_none());
        assert!(
            Entry::parse(b"{\"a\":").is_none() && Entry::parse(b"[]").is_none_or(|e| !e.is_audit())
        );
    }
}
