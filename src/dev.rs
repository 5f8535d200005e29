//! What `rollcall dev` is made of: a private Postgres, a folder for what it keeps,
//! users to try things on, and the screen that shows how.

mod config;
mod error;
mod folder;
mod operator;
mod people;
pub mod postgres;
mod screen;
mod seed;

pub use config::serve;
pub use error::Error;
pub use folder::{Folder, random_text};
pub use operator::OperatorToken;
pub use screen::{Palette, Screen};
pub use seed::{Seeded, seed};
