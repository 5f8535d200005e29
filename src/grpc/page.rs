//! Page tokens (AIP-158): where a page ended, and a tag that binds it to the list it
//! came from, so that one from elsewhere is refused before any query.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::parse::Fields;
use crate::{identity::Identity, store::Page};

const DEFAULT_SIZE: u16 = 50;
const MAX_SIZE: u16 = 1_000;

/// A list: the RPC and what it filters by. A page token is good for one list.
pub(super) struct List {
    identity: Identity,
    scope: Vec<u8>,
}

impl List {
    pub(super) fn new(identity: &Identity, rpc: &str, filter: &[u8]) -> Self {
        Self {
            identity: identity.clone(),
            scope: [rpc.as_bytes(), &[0], filter].concat(),
        }
    }

    /// The page that is asked for, whose limit is one more than its size, to see
    /// whether another follows.
    pub(super) fn page<Id>(
        &self,
        fields: &mut Fields,
        page_size: i32,
        page_token: &str,
        id: impl FnOnce(Uuid) -> Id,
    ) -> Page<Id> {
        let size = match u16::try_from(page_size) {
            Ok(0) => DEFAULT_SIZE,
            Ok(size) if size <= MAX_SIZE => size,
            _ => {
                fields.reject("page_size", format!("must be 0 to {MAX_SIZE}"));
                DEFAULT_SIZE
            }
        };
        let wanted = "must be the next_page_token of the same list with the same filter";
        Page {
            after: self.place(fields, "page_token", page_token, wanted).map(id),
            limit: size + 1,
        }
    }

    /// What a token says that was given in a field, if one was.
    pub(super) fn place(
        &self,
        fields: &mut Fields,
        field: &str,
        token: &str,
        wanted: &str,
    ) -> Option<Uuid> {
        if token.is_empty() {
            return None;
        }
        let place = self.open(token);
        if place.is_none() {
            fields.reject(field, wanted);
        }
        place
    }

    /// Cuts `rows` to the page's size and names where the next page begins.
    pub(super) fn finish<Id, T>(
        &self,
        page: &Page<Id>,
        rows: &mut Vec<T>,
        id: impl FnOnce(&T) -> Uuid,
    ) -> String {
        let size = usize::from(page.limit - 1);
        if rows.len() <= size {
            return String::new();
        }
        rows.truncate(size);
        rows.last()
            .map(|last| self.token(id(last)))
            .unwrap_or_default()
    }

    /// The token of a place in the list.
    pub(super) fn token(&self, last: Uuid) -> String {
        let tag = self.identity.page_tag(&self.message(last));
        let bytes = [&last.as_bytes()[..], &tag].concat();
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where the page of a token of this list ended.
    pub(super) fn open(&self, token: &str) -> Option<Uuid> {
        let mut bytes = [0; 32];
        if URL_SAFE_NO_PAD.decode_slice(token, &mut bytes) != Ok(32) {
            return None;
        }
        let (last, tag) = bytes.split_first_chunk()?;
        let last = Uuid::from_bytes(*last);
        let genuine = self.identity.is_page_tag(&self.message(last), tag);
        genuine.then_some(last)
    }

    /// What a token's tag is made of.
    fn message(&self, last: Uuid) -> Vec<u8> {
        [&self.scope[..], last.as_bytes()].concat()
    }
}
