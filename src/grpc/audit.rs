//! The service `Audit`.

use std::pin::Pin;

use futures_util::{Stream, stream};
use prost::Message;
use tonic::{Request, Response, Status};

use super::{caller::bearer, event, page::List, parse::Fields};
use crate::{
    identity::{EventBatch, EventWatch, Identity},
    model::audit::{EventId, EventKind},
    proto::v1::{self, audit_server::Audit},
    store::audit::Filter,
};

/// The most kinds in a filter.
const MAX_KINDS: usize = 32;

/// Serves `Audit`.
#[derive(Clone, Debug)]
pub struct AuditService {
    identity: Identity,
}

impl AuditService {
    /// The service over the flows.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity }
    }
}

#[tonic::async_trait]
impl Audit for AuditService {
    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let wanted = request.filter.unwrap_or_default();
        let mut fields = Fields::default();
        let list = List::new(&self.identity, "ListEvents", &wanted.encode_to_vec());
        let page = list.page(&mut fields, request.page_size, &request.page_token, EventId);
        let filter = parse_filter(&mut fields, wanted);
        let (page, filter) = fields.finish(|| Some((page, filter)))?;
        self.identity.admin(token).await?;
        let mut events = self.identity.list_events(&filter, page).await?;
        let next_page_token = list.finish(&page, &mut events, |event| event.id.0);
        Ok(Response::new(v1::ListEventsResponse {
            events: events.into_iter().map(event::event).collect(),
            next_page_token,
        }))
    }

    type WatchEventsStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let (metadata, _, request) = request.into_parts();
        let token = bearer(&metadata)?;
        let mut wanted = request.filter.unwrap_or_default();
        let mut fields = Fields::default();
        let from = self.parse_cursor(&mut fields, &request.cursor);
        if wanted.create_time.take().is_some() {
            fields.reject("filter.create_time", "cannot be given");
        }
        let filter = parse_filter(&mut fields, wanted);
        let (filter, from) = fields.finish(|| Some((filter, from)))?;
        let watch = self.identity.watch_events(token, filter, from).await?;
        Ok(Response::new(Box::pin(self.clone().messages(watch))))
    }
}

impl AuditService {
    /// The stream of a watch, which ends after an error.
    fn messages(
        self,
        watch: EventWatch,
    ) -> impl Stream<Item = Result<v1::WatchEventsResponse, Status>> {
        stream::unfold(Some((self, watch)), |watched| async move {
            let (service, mut watch) = watched?;
            match watch.next().await {
                Ok(batch) => Some((Ok(service.say(batch)), Some((service, watch)))),
                Err(error) => Some((Err(error.into()), None)),
            }
        })
    }

    fn say(&self, batch: EventBatch) -> v1::WatchEventsResponse {
        v1::WatchEventsResponse {
            events: batch.events.into_iter().map(event::event).collect(),
            cursor: self.cursors().token(batch.next.0),
        }
    }

    fn parse_cursor(&self, fields: &mut Fields, text: &str) -> Option<EventId> {
        if text.is_empty() {
            return None;
        }
        let cursor = self.cursors().open(text);
        if cursor.is_none() {
            fields.reject("cursor", "must be the cursor of a message of this stream");
        }
        cursor.map(EventId)
    }

    /// A cursor is a page token of a list that has no other.
    fn cursors(&self) -> List {
        List::new(&self.identity, "WatchEvents", &[])
    }
}

fn parse_filter(fields: &mut Fields, wanted: v1::EventFilter) -> Filter {
    let v1::EventFilter {
        create_time, kinds, ..
    } = wanted;
    let user_id = |fields: &mut Fields, field, text: &str| {
        (!text.is_empty())
            .then(|| fields.user_id(field, text))
            .flatten()
    };
    let session_id = (!wanted.session_id.is_empty())
        .then(|| fields.session_id("filter.session_id", &wanted.session_id))
        .flatten();
    Filter {
        user_id: user_id(fields, "filter.user_id", &wanted.user_id),
        session_id,
        actor_user_id: user_id(fields, "filter.actor_user_id", &wanted.actor_user_id),
        kinds: parse_kinds(fields, &kinds),
        created: fields.time_range("filter.create_time", create_time),
    }
}

fn parse_kinds(fields: &mut Fields, kinds: &[i32]) -> Vec<EventKind> {
    if kinds.len() > MAX_KINDS {
        fields.reject("filter.kinds", format!("must be at most {MAX_KINDS} kinds"));
        return Vec::new();
    }
    let mut parsed = Vec::with_capacity(kinds.len());
    for (at, number) in kinds.iter().enumerate() {
        match event::parse_kind(*number) {
            Some(kind) => parsed.push(kind),
            None => fields.reject(format!("filter.kinds[{at}]"), "must be a kind of event"),
        }
    }
    parsed
}
