//! `rollcall keys`.

use super::{
    Failure, print_line,
    remote::ask,
    terminal,
    text::{count, plain},
};
use crate::{
    config::{Format, Keys, RemoteOptions, RotateKeys},
    identity::MasterKey,
    proto::v1,
};

pub(super) async fn keys(command: Keys) -> Result<(), Failure> {
    match command {
        Keys::Generate => generate(),
        Keys::List(options) => list(&options).await,
        Keys::Rotate(options) => rotate(&options).await,
        Keys::Reseal(options) => reseal(&options).await,
    }
}

fn generate() -> Result<(), Failure> {
    let key = MasterKey::generate().map_err(|_| "there are no random bytes".into());
    print_line(&key.map_err(Failure::Other)?.expose())
}

async fn list(options: &RemoteOptions) -> Result<(), Failure> {
    ask(options, async |remote, output| {
        let list = async |request| remote.keys().list_signing_keys(request).await;
        let reply = remote.call(v1::ListSigningKeysRequest {}, list).await?;
        output.items(&reply.signing_keys)
    })
    .await
}

async fn rotate(options: &RotateKeys) -> Result<(), Failure> {
    if options.emergency {
        terminal::confirm(
            options.confirm,
            "Drop the keys that have signed, with all access tokens? Single-token clients \
             have to sign in again.",
        )?;
    }
    ask(&options.remote, async |remote, output| {
        let request = v1::RotateSigningKeyRequest {
            emergency: options.emergency,
        };
        let rotate = async |request| remote.keys().rotate_signing_key(request).await;
        let reply = remote.call(request, rotate).await?;
        let key = reply.signing_key.clone().unwrap_or_default();
        if options.emergency && output.format() == Format::Table {
            eprintln!("the keys that had signed are dropped, with their tokens");
        }
        let (kid, algorithm) = (plain(&key.kid), plain(&key.algorithm));
        output.sentence(&reply, &format!("the signing key is {kid} ({algorithm})"))
    })
    .await
}

async fn reseal(options: &RemoteOptions) -> Result<(), Failure> {
    ask(options, async |remote, output| {
        let reseal = async |request| remote.keys().reseal_signing_keys(request).await;
        let reply = remote.call(v1::ResealSigningKeysRequest {}, reseal).await?;
        let sentence = format!(
            "{} resealed under the first master key, {} already were",
            count(reply.resealed_key_count.into(), "signing key"),
            reply.current_key_count
        );
        output.sentence(&reply, &sentence)
    })
    .await
}
