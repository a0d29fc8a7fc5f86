//! The names of what is looked for.

use std::fmt;

macro_rules! detectors {
    ($($name:ident $rule:literal $title:literal;)*) => {
        /// What is looked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Detector { $(#[doc = $title] $name,)* }
        impl Detector {
            /// All of them, in order.
            pub const ALL: [Self; [$($rule),*].len()] = [$(Self::$name),*];
            /// `L1`.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
            /// Its name as a rule, which never changes: `token-outside-metadata-server`.
            pub fn rule(self) -> &'static str {
                match self { $(Self::$name => $rule,)* }
            }
            /// What it finds.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

detectors! {
    L1 "token-outside-metadata-server" "A pod's identity made a token outside of the metadata server";
    L2 "service-unexplained" "An identity called a service that none of its roles explains";
    L3 "service-new" "An identity called a service that it never called before";
    L4 "class-new" "An identity does more than it ever did with a service";
    L5 "minter-new" "Somebody acts as an account whom the spec does not name";
    L6 "key-after-migration" "A key is used after its account went off keys";
    L7 "denial-burst" "An identity is denied much more often than before";
    L8 "network-new" "An identity called from a network that it never called from";
    L9 "impersonator-foreign" "A person or a foreign account acts as an account of workloads";
    L10 "identity-changed" "Something that identities rest on was changed, and not by wi";
    L11 "pod-entered" "Somebody entered a pod, or made a token, in a namespace with rights";
    L12 "node-account-used" "A node's account was used for more than nodes do";
    L13 "identity-silent" "An identity that called regularly no longer does";
    L14 "project-foreign" "An identity called into a project that is not of the spec";
    L15 "region-new" "An identity called a region that it never called";
    L16 "account-gone-used" "An account that is disabled or deleted is still acted as";
}

impl Detector {
    /// From `L2`, or from its name.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |d: &Self| d.id().eq_ignore_ascii_case(text) || d.rule() == text;
        Self::ALL.into_iter().find(fits)
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
