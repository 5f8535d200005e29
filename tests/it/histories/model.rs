//! The model: what the design says of a session and its tokens, and nothing of how.

use std::collections::HashMap;

/// For how many minutes a refresh with and without a name can be repeated: so many that
/// the time which a test takes does not matter.
pub const REPLAY_WINDOW: u32 = 120;
pub const LEEWAY: u32 = 60;

/// What made a generation of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Maker {
    SignIn,
    Named(String),
    /// A refresh without a name, of this token.
    Unnamed(String),
}

#[derive(Clone)]
pub struct Token {
    pub text: String,
    pub generation: usize,
    pub maker: Maker,
}

/// A session as the model has it.
pub struct Session {
    pub id: String,
    pub device: usize,
    /// What made each generation, up to the one in force.
    pub lineage: Vec<Maker>,
    /// How many minutes ago the last of them was made.
    pub age: u32,
    /// Why it was ended, as its row has it.
    pub end_reason: Option<&'static str>,
    /// Why it is dead, as callers are told: what came first.
    pub dead: Option<&'static str>,
    pub issued: Vec<Token>,
    /// What each token was last used with.
    pub used: HashMap<String, Maker>,
}

#[derive(Debug, PartialEq)]
pub enum Answer {
    Successor { generation: usize, maker: Maker },
    Refused(&'static str),
    Ended(&'static str),
}

impl Session {
    pub fn new(id: String, device: usize, refresh_token: String) -> Self {
        Self {
            id,
            device,
            lineage: vec![Maker::SignIn],
            age: 0,
            end_reason: None,
            dead: None,
            issued: vec![Token {
                text: refresh_token,
                generation: 0,
                maker: Maker::SignIn,
            }],
            used: HashMap::new(),
        }
    }

    /// The table of the design.
    pub fn judge(&mut self, token: &Token, maker: Maker) -> Answer {
        if token.maker == maker {
            return Answer::Refused("INVALID_ARGUMENT");
        }
        if let Some(reason) = self.dead {
            return Answer::Ended(reason);
        }
        let generation = self.lineage.len() - 1;
        if token.generation > generation {
            return Answer::Refused("GENERATION_AHEAD");
        }
        let is_ours = self.lineage[token.generation] == token.maker;
        let window = match maker {
            Maker::Named(_) => REPLAY_WINDOW,
            _ => LEEWAY,
        };
        if is_ours && token.generation == generation {
            self.lineage.push(maker.clone());
            self.age = 0;
        } else if !is_ours
            || token.generation + 1 != generation
            || self.lineage[generation] != maker
            || self.age > window
        {
            self.end("TOKEN_REUSED");
            return Answer::Refused("REFRESH_TOKEN_REUSED");
        }
        Answer::Successor {
            generation: token.generation + 1,
            maker,
        }
    }

    pub fn token(&self, back: usize) -> Token {
        let last = self.issued.len() - 1;
        self.issued[last - back.min(last)].clone()
    }

    pub fn end(&mut self, reason: &'static str) {
        self.end_reason.get_or_insert(reason);
        self.dead.get_or_insert(reason);
    }

    pub fn expire(&mut self) {
        self.dead.get_or_insert("EXPIRED");
    }
}
