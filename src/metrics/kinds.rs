//! Labels with a fixed set of values.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// A label whose values are known beforehand.
pub trait Kind: Copy + 'static {
    /// The name of the label.
    const LABEL: &'static str;
    /// Every value, in the order of [`Kind::index`].
    const ALL: &'static [Self];

    /// The text of the value.
    fn as_str(self) -> &'static str;

    /// Where in [`Kind::ALL`] it is.
    fn index(self) -> usize;
}

/// Declares the values of a label, each with its text.
macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident in $label:literal {
        $($(#[$value_doc:meta])* $value:ident = $text:literal),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$value_doc])* $value),+
        }

        impl $crate::metrics::kinds::Kind for $name {
            const LABEL: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$value),+];

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text),+
                }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

pub(super) use kinds;

/// One label with its value.
pub(super) type Label = [(&'static str, &'static str); 1];

/// A counter for each value of a label. Counting costs one addition.
#[derive(Clone, Debug)]
pub(super) struct Counters {
    family: Family<Label, Counter>,
    each: Vec<Counter>,
}

impl Counters {
    pub(super) fn of<K: Kind>() -> Self {
        let family = Family::<Label, Counter>::default();
        let counter = |kind: &K| family.get_or_create_owned(&[(K::LABEL, kind.as_str())]);
        Self {
            each: K::ALL.iter().map(counter).collect(),
            family,
        }
    }

    pub(super) fn add<K: Kind>(&self, kind: K, number: u64) {
        if let Some(counter) = self.each.get(kind.index()) {
            counter.inc_by(number);
        }
    }

    pub(super) fn register(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.register(name, help, self.family.clone());
    }
}
