//! wharf's own threads, each with a runtime, its share of the listeners, and the connections that come to it.

use std::io;
use std::thread;

use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;

use super::listen::{Listening, Share};
use super::listener::Serving;
use crate::driver::Residents;

/// Starts a thread that serves what comes to these listeners, and waits until it is ready to.
///
/// It ends when the server has closed and no connection lives on it any more.
pub(super) async fn start(number: usize, listeners: Vec<Share>, serving: Serving) -> io::Result<()> {
    let (tell, ready) = oneshot::channel();
    // Whoever binds may have given up waiting; the server closes then.
    let run = move || match prepare(listeners) {
        Ok((runtime, listeners)) => {
            let _ = tell.send(Ok(()));
            serve(runtime, listeners, serving);
        }
        Err(error) => {
            let _ = tell.send(Err(error));
        }
    };
    thread::Builder::new().name(format!("wharf-worker-{number}")).spawn(run)?;
    ready.await.unwrap_or_else(|_| Err(io::Error::other("a worker ended before it served")))
}

fn prepare(listeners: Vec<Share>) -> io::Result<(Runtime, Vec<Listening>)> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let context = runtime.enter();
    let listeners = listeners.into_iter().map(Share::register).collect::<io::Result<_>>()?;
    drop(context);
    Ok((runtime, listeners))
}

fn serve(runtime: Runtime, listeners: Vec<Listening>, serving: Serving) {
    let residents = Residents::of_this_thread();
    runtime.block_on(async {
        // Tasks of their own: where a service panics as it is cloned, the connections that there are go on.
        let accepting = listeners.into_iter().map(|listener| listener.serve(serving.clone()));
        let accepting: Vec<_> = accepting.collect();
        // What is left here would keep the server from its end.
        drop(serving);
        for task in accepting {
            let _ = task.await;
        }
        residents.gone().await;
    });
    // What a handler has given to `spawn_blocking` may never end.
    runtime.shutdown_background();
}
