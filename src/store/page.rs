//! Pages of a list.

/// Which part of a list, in descending order of ids.
#[derive(Clone, Copy, Debug)]
pub struct Page<Id> {
    /// Where the page before ended.
    pub after: Option<Id>,
    /// How many rows at most.
    pub limit: u16,
}
