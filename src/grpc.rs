//! The wire: parse a request, call a flow, make the reply. One file a service.

mod act;
mod audit;
mod auth;
pub mod caller;
mod convert;
mod deadline;
mod event;
mod json;
mod key_admin;
mod new_user;
mod page;
mod parse;
pub mod request_id;
mod session_admin;
mod source;
pub mod status;
mod user_admin;
mod verification;

pub use audit::AuditService;
pub use auth::AuthService;
pub use deadline::Deadline;
pub use key_admin::KeyAdminService;
pub use session_admin::SessionAdminService;
pub use source::{Proxies, trusts_peer};
pub use user_admin::UserAdminService;
pub use verification::VerificationService;
