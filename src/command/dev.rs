//! `rollcall dev`.

use std::{
    env,
    error::Error,
    io::{self, Write},
    pin::pin,
};

use zeroize::Zeroizing;

use super::{runtime, serve::shutdown_signal};
use crate::{
    config::Dev,
    dev::{
        self, Folder, OperatorToken, Palette, Screen, Seeded,
        postgres::{self, Cluster},
    },
    server::Server,
    store::{self, DatabaseUrl},
};

const DATABASE: &str = "rollcall";

pub(super) fn dev(options: &Dev) -> Result<(), Box<dyn Error>> {
    let own_uid = postgres::own_uid()?;
    let folder = Folder::open(options.dir.as_deref(), own_uid == 0)?;
    folder.require_owner(own_uid)?;
    if options.fresh {
        postgres::remove(&folder.cluster())?;
    }
    let settings = postgres::Settings {
        durable: true,
        options: Vec::new(),
    };
    let cluster = Cluster::start(&folder.cluster(), &settings)?;
    if options.fresh {
        // Only now, when it is certain that no other process uses them.
        folder.remove_files()?;
    }
    let result = runtime()?.block_on(run(options, &folder, &cluster));
    cluster.stop();
    result
}

/// A server that is about to answer, and what there is to know about it.
struct Ready {
    server: Server,
    seeded: Seeded,
    operator_password: Zeroizing<String>,
    demo_password: Zeroizing<String>,
}

async fn run(options: &Dev, folder: &Folder, cluster: &Cluster) -> Result<(), Box<dyn Error>> {
    let mut shutdown = pin!(shutdown_signal()?);
    let ready = tokio::select! {
        ready = prepare(options, folder, cluster) => ready?,
        () = &mut shutdown => return Ok(()),
    };
    let identity = ready.server.identity();
    let token = OperatorToken::write(
        identity,
        folder,
        ready.operator_password.clone(),
        &ready.seeded,
    )?;
    let screen = draw(&ready, folder, cluster)?;
    let answering = ready.server.ready();
    let beside = async {
        answering.await;
        // Whoever closed the other end does not want to see it.
        _ = io::stdout().write_all(screen.as_bytes());
        token.keep_renewing().await
    };
    tokio::select! {
        result = ready.server.run(shutdown) => Ok(result?),
        never = beside => match never {},
    }
}

async fn prepare(
    options: &Dev,
    folder: &Folder,
    cluster: &Cluster,
) -> Result<Ready, Box<dyn Error>> {
    let config = dev::serve(
        &options.listen,
        &cluster.url(DATABASE),
        &folder.master_key()?,
    )?;
    let url = config.database.database_url.clone();
    let server = Server::bind(config).await?;

    let maintenance: DatabaseUrl = cluster.url("postgres").parse()?;
    store::create_database(&maintenance, DATABASE).await?;
    store::migrate(&url).await?;
    let identity = server.identity();
    identity.load_signing_keys().await?;

    let operator_password = folder.operator_password()?;
    let demo_password = folder.demo_password()?;
    let seeded = dev::seed(identity, &operator_password, &demo_password).await?;
    Ok(Ready {
        server,
        seeded,
        operator_password,
        demo_password,
    })
}

fn draw(
    ready: &Ready,
    folder: &Folder,
    cluster: &Cluster,
) -> Result<Zeroizing<String>, dev::Error> {
    let screen = Screen {
        address: ready.server.address(),
        socket: cluster.socket_dir(),
        folder: folder.path(),
        operator_token: &folder.operator_token(),
        operator_password: &ready.operator_password,
        demo_password: &ready.demo_password,
        refresh_token: ready.seeded.ana.refresh_token.expose(),
        request_id: &dev::random_text()?,
        other_session: ready.seeded.ana_other,
        has_grpcurl: has_program("grpcurl"),
    };
    Ok(Zeroizing::new(screen.text(Palette::of_stdout())))
}

fn has_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(name).is_file())
}
