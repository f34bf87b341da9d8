//! A guestbook: a small HTTP application on a SQLite file, in two versions.
//!
//! The old version keeps who wrote an entry in the column `name`, the new one in `full_name`. Several instances share
//! one file. `docs/rollout.md` takes them from the old version to the new one while they serve.
//!
//! | request | answer |
//! |---|---|
//! | `GET /up` | 200 once the version finds the schema that it needs, else 503 with the reason |
//! | `GET /` | the entries, the oldest first: `[{"id": 1, "author": "Ada", "message": "Hello"}]` |
//! | `POST /` with `{"author": "Ada", "message": "Hello"}` | 201 and `{"id": 1}` once the entry is in the file |

mod instance;
mod store;

use std::error::Error;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

use instance::Instance;
use store::{Entry, Store, Version};

/// How many requests are answered at a time.
const WORKERS: usize = 4;

/// How long a worker waits for a request before it looks whether the instance is to end.
const LOOK: Duration = Duration::from_millis(50);

/// A guestbook on a SQLite file, served on the loopback interface
#[derive(Parser)]
struct Args {
    /// The SQLite file; made where there is none
    #[arg(long, env = "CHANGEOVER_DB")]
    db: PathBuf,
    /// The port
    #[arg(long)]
    port: u16,
    /// What the instance is called
    #[arg(long, env = "CHANGEOVER_INSTANCE")]
    name: String,
    /// Which version of the application this is
    #[arg(long, value_enum)]
    version: Version,
    /// The version of the schema that it knows
    #[arg(long, env = "CHANGEOVER_VERSION", default_value_t = 0)]
    schema_version: i64,
}

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let args = Args::parse();
    let stop = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&stop);
    ctrlc::set_handler(move || heard.store(true, Ordering::Relaxed))?;

    let stores = (0..WORKERS).map(|_| Store::open(&args.db, args.version));
    let stores: Vec<Store> = stores.collect::<rusqlite::Result<_>>()?;
    let instance = Instance::open(&args)?;
    let server = Server::http(("127.0.0.1", args.port)).map_err(|error| error.to_string())?;

    thread::scope(|scope| {
        for store in stores {
            let (server, stop) = (&server, &stop);
            scope.spawn(move || work(server, &store, stop));
        }
        let stayed = instance.stay_registered(&stop);
        stop.store(true, Ordering::Relaxed);
        stayed
    })?;
    // Nothing is answered any more: what still stands in the file is our word that we are there.
    Ok(instance.retire()?)
}

/// Answers requests until the instance is to end and none is waiting.
fn work(server: &Server, store: &Store, stop: &AtomicBool) {
    loop {
        match server.recv_timeout(LOOK) {
            // Who asked may have gone meanwhile.
            Ok(Some(mut request)) => {
                let (status, body) = answer(&mut request, store);
                let _ = request.respond(response(status, &body));
            }
            Ok(None) if stop.load(Ordering::Relaxed) => return,
            Ok(None) | Err(_) => {}
        }
    }
}

fn answer(request: &mut Request, store: &Store) -> (u16, Value) {
    let done = match (request.method(), request.url()) {
        (Method::Get, "/up") => store.check().map(|()| (200, json!({"up": true}))),
        (Method::Get, "/") => store.entries().map(|entries| (200, json!(entries))),
        (Method::Post, "/") => match serde_json::from_reader::<_, Entry>(request.as_reader()) {
            Ok(entry) => store.write(&entry).map(|id| (201, json!({"id": id}))),
            Err(error) => return (400, json!({"error": error.to_string()})),
        },
        _ => return (404, json!({"error": "there is / and /up"})),
    };
    done.unwrap_or_else(|error| (503, json!({"error": error.to_string()})))
}

fn response(status: u16, body: &Value) -> Response<Cursor<Vec<u8>>> {
    let response = Response::from_string(format!("{body}\n")).with_status_code(status);
    match Header::from_bytes("Content-Type", "application/json") {
        Ok(header) => response.with_header(header),
        Err(()) => response,
    }
}
