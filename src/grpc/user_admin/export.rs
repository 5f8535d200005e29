//! All users as a stream.

use std::pin::Pin;

use futures_util::{Stream, stream};
use tonic::Status;
use tracing::Instrument;

use super::super::convert;
use crate::{
    identity::{Caller, Error, Identity},
    model::ids::UserId,
    proto::v1,
    store::{Page, users::Filter},
};

/// How many users are read, and sent, at once.
const PAGE: u16 = 500;

pub(super) type Users = Pin<Box<dyn Stream<Item = Result<v1::ExportUsersResponse, Status>> + Send>>;

/// Where an export is.
struct Export {
    identity: Identity,
    caller: Caller,
    filter: Filter,
    after: Option<UserId>,
}

/// The users that a filter meets, newest first. Each page is read when its turn to be sent
/// has come, so that a caller who has gone away or reads slowly causes no statement. Pages
/// go downwards by id, so that whoever is created meanwhile comes in none of them.
pub(super) fn stream(identity: Identity, caller: Caller, filter: Filter) -> Users {
    let export = Export {
        identity,
        caller,
        filter,
        after: None,
    };
    let call = tracing::Span::current();
    Box::pin(stream::unfold(Some(export), move |export| {
        next(export).instrument(call.clone())
    }))
}

/// The next page, and what comes after it; the stream ends after an error and after a page
/// that is not full.
async fn next(
    export: Option<Export>,
) -> Option<(Result<v1::ExportUsersResponse, Status>, Option<Export>)> {
    let mut export = export?;
    match export.page().await {
        Ok(users) if users.is_empty() => None,
        Ok(users) => {
            let more = users.len() == usize::from(PAGE);
            Some((
                Ok(v1::ExportUsersResponse { users }),
                more.then_some(export),
            ))
        }
        Err(error) => Some((Err(error.into()), None)),
    }
}

impl Export {
    async fn page(&mut self) -> Result<Vec<v1::User>, Error> {
        if self.after.is_some() {
            self.identity.still_admin(&self.caller).await?;
        }
        let page = Page {
            after: self.after,
            limit: PAGE,
        };
        let users = self.identity.list_users(&self.filter, page).await?;
        self.after = users.last().map(|user| user.id);
        Ok(users.into_iter().map(convert::whole_user).collect())
    }
}
