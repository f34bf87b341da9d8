use rusqlite::{Connection, named_params};

const REGISTER: &str = "
    INSERT INTO _changeover_instances (name, version, app_version, lease_seconds, pid)
    VALUES (:name, :version, :app_version, :lease_seconds, :pid)
    ON CONFLICT (name) DO UPDATE SET version = excluded.version, app_version = excluded.app_version,
        lease_seconds = excluded.lease_seconds, pid = excluded.pid, seen_at = excluded.seen_at";

/// Says that this process runs. Returns whether the file has somebody to tell it to.
pub fn register(db: &Connection, name: &str, version: u32) -> rusqlite::Result<bool> {
    let said = db.execute(
        REGISTER,
        named_params! {
            ":name": name,
            ":version": version,
            ":app_version": env!("CARGO_PKG_VERSION"),
            ":lease_seconds": 60,
            ":pid": std::process::id(),
        },
    );
    match said {
        Err(error)
            if error
                .to_string()
                .contains("no such table: _changeover_instances") =>
        {
            Ok(false)
        }
        said => said.map(|_| true),
    }
}

/// Says that it ends.
pub fn retire(db: &Connection, name: &str) -> rusqlite::Result<usize> {
    db.execute("DELETE FROM _changeover_instances WHERE name = ?1", [name])
}
