//! Lists, page by page.

use super::{Failure, Output, output::Row};
use crate::config::Format;

/// The most items of a page.
const PAGE: u64 = 500;

/// Which page to ask for.
pub(super) struct Page {
    pub(super) size: i32,
    pub(super) token: String,
}

impl Page {
    /// The first, as large as there are.
    pub(super) fn first() -> Self {
        Self::after(String::new())
    }

    /// The one after another, as large as there are.
    pub(super) fn after(token: String) -> Self {
        let size = i32::try_from(PAGE).unwrap_or(1);
        Self { size, token }
    }
}

/// Shows the items of a list as they come, `most` at most, or all, and answers how many.
pub(super) async fn show<T: Row>(
    output: &mut Output,
    most: Option<u64>,
    mut fetch: impl AsyncFnMut(Page) -> Result<(Vec<T>, String), Failure>,
) -> Result<u64, Failure> {
    let (mut shown, mut token) = (0, String::new());
    loop {
        let left = most.map_or(PAGE, |most| most - shown);
        let size = i32::try_from(left.min(PAGE)).unwrap_or(1);
        let (items, next) = fetch(Page { size, token }).await?;
        shown += items.len() as u64;
        output.items(&items)?;
        token = next;
        if token.is_empty() {
            break;
        }
        if most.is_some_and(|most| shown >= most) {
            if output.format() == Format::Table {
                eprintln!("the first {shown}: --limit N shows more, --limit 0 all");
            }
            break;
        }
    }
    if shown == 0 && output.format() == Format::Table {
        eprintln!("there is none");
    }
    Ok(shown)
}
