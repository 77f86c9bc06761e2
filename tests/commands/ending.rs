//! How the process itself ends.

use super::plan::{Folder, code};
use std::process::Command;

const FILE: &str = r#"
topology: encrypted
connections: { kafka: { bootstrap: "127.0.0.1:1", tls: {} } }
actors:
  ticks:  { kind: kafka_source, topic: md.raw }
  trades: { kind: normalizer, from: ticks, fields: { ts: { type: timestamp, path: /T, unit: ms } } }
  copy:   { kind: kafka_sink, from: trades, topic: md.trades }
"#;

/// Stands between the process and its list of exit handlers, and says whose they are.
const WATCHER: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
__attribute__((constructor)) static void begin(void) { fprintf(stderr, "watched\n"); }
int __cxa_atexit(void (*handler)(void *), void *argument, void *object) {
    int (*next)(void (*)(void *), void *, void *) =
        (int (*)(void (*)(void *), void *, void *))dlsym(RTLD_NEXT, "__cxa_atexit");
    Dl_info found;
    if (dladdr((void *)handler, &found) && found.dli_fname)
        fprintf(stderr, "exit handler: %s %s\n", found.dli_fname, found.dli_sname ? found.dli_sname : "?");
    return next(handler, argument, object);
}
"#;

/// OpenSSL's exit handler takes away what the threads of a client use that is still there: a segmentation fault, in place
/// of the exit code, now and then. So it must not be registered.
#[test]
fn no_exit_handler_takes_openssl_from_clients_that_are_still_there() {
    let folder = Folder::new();
    let (source, watcher) = (folder.write("watcher.c", WATCHER), folder.0.path().join("watcher.so"));
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&watcher, &source])
        .arg("-ldl")
        .status()
        .expect("a C compiler, as librdkafka needed");
    assert!(compiled.success());
    let file = folder.write("t.yaml", FILE);
    let mut check = folder.aqueduct();
    check.args(["check", "--connect"]).arg(&file).env("LD_PRELOAD", &watcher);
    let output = check.output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(code(&output), 1, "nobody listens: {said}");
    assert!(said.contains("watched"), "{said}");
    let openssl: Vec<&str> = said.lines().filter(|line| line.contains("OPENSSL_cleanup")).collect();
    assert!(openssl.is_empty(), "{openssl:?}");
}
