//! What stands between a client and the replicas: one address, whichever replica lives.

use std::sync::{Arc, Mutex};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::broadcast,
};

/// Forwards connections to one of the replicas at a time.
pub struct Balancer {
    address: String,
    target: Arc<Mutex<String>>,
    cut: broadcast::Sender<()>,
}

impl Balancer {
    /// Listens, and forwards to `target`.
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let balancer = Self {
            address: listener.local_addr().expect("bound").to_string(),
            target: Arc::new(Mutex::new(target.to_owned())),
            cut: broadcast::Sender::new(1),
        };
        let (target, cut) = (Arc::clone(&balancer.target), balancer.cut.downgrade());
        tokio::spawn(async move {
            // Until the balancer is dropped.
            while let (Ok((client, _)), Some(cut)) = (listener.accept().await, cut.upgrade()) {
                let target = target.lock().expect("not poisoned").clone();
                let cut = cut.subscribe();
                tokio::spawn(forward(client, target, cut));
            }
        });
        balancer
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Forwards new connections to another replica, and leaves those that there are.
    pub fn lead_to(&self, target: &str) {
        target.clone_into(&mut self.target.lock().expect("not poisoned"));
    }

    /// Forwards to another replica, and cuts the connections to the one before.
    pub fn turn_to(&self, target: &str) {
        self.lead_to(target);
        // It fails when nobody is connected.
        let _ = self.cut.send(());
    }
}

async fn forward(mut client: TcpStream, target: String, mut cut: broadcast::Receiver<()>) {
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = cut.recv() => {}
    }
}
