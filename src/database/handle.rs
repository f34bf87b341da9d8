//! What SQLite offers to C alone, by the handle of a connection: the one place where the compiler has to take our word.

#![allow(unsafe_code)]

use std::ptr;

use rusqlite::{Connection, ffi};

/// While `on`, a `CREATE TABLE` on this connection makes an imposter of the b-tree at `root`. Switched off with a `root`, SQLite
/// reads the schema anew, which knows of none.
pub(super) fn control_imposters(connection: &Connection, on: i32, root: i32) {
    // SAFETY: the handle is that of an open connection, which outlives the call and is used by this thread alone, as it
    // is borrowed here and not `Sync`; the operation takes the connection, the name of a database and two integers, and keeps none
    // of them.
    unsafe {
        ffi::sqlite3_test_control(
            ffi::SQLITE_TESTCTRL_IMPOSTER,
            connection.handle(),
            c"main".as_ptr(),
            on,
            root,
        );
    }
}

/// Waits until the disk has all that was written to the file of the connection, the write-ahead log not counted. Holds no lock
/// meanwhile, and is not possible but through SQLite: a second descriptor of ours on the file would, once closed, take
/// the locks of the first with it.
pub(super) fn sync(connection: &Connection) -> rusqlite::Result<()> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: as above the handle is that of an open connection which nobody else uses meanwhile. The first call writes one
    // pointer, and that is what it is given room for. The file it points to, and its methods, belong to the connection and
    // live as long; the methods are missing where no file is open.
    let code = unsafe {
        let code = ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_FILE_POINTER,
            (&raw mut file).cast(),
        );
        let methods = file.as_ref().and_then(|it| it.pMethods.as_ref());
        match methods.and_then(|it| it.xSync) {
            Some(sync) if code == ffi::SQLITE_OK => sync(file, ffi::SQLITE_SYNC_NORMAL),
            _ => code,
        }
    };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}
