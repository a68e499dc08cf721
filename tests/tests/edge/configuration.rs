//! A wrong file: every error at once, with file, line, column, what was found and what was expected, exit code 2. What the
//! system refuses (a port in use, a folder that cannot be written) is one sentence that says what to do.

use parapet_lab::{Namespace, Output, parapet_binary};

use crate::scene::Scene;

/// Seven errors, one a line; the last line is of another kind than the others: a reference to what is not there.
const WRONG: &str = "\
[node.edge1]
listen = [\"127.0.0.1:99999\"]
state_dir = 7
workers = 5000
colour = \"green\"
[origin.bind]
addresses = [\"not an address\"]
[zone.\"example..com\"]
origins = [\"bind\"]
[zone.\"example.org\"]
origins = [\"nobody\"]
";
/// Where they are.
const LINES: [u32; 7] = [2, 3, 4, 5, 7, 8, 11];

fn parapet(host: &Namespace, arguments: &[&str]) -> Output {
    let binary = parapet_binary().expect("the parapet binary");
    host.program(&binary.to_string_lossy()).args(arguments).run().expect("parapet ends by itself")
}

#[test]
fn all_errors_of_a_file_at_once() {
    let scene = Scene::new("wrong");
    let path = scene.lab.folder().join("network.toml");
    std::fs::write(&path, WRONG).expect("writing a file");
    let file = path.to_string_lossy();
    for arguments in [&["check", &*file][..], &["run", "--config", &*file, "--node", "edge1"]] {
        let output = parapet(scene.client(), arguments);
        let text = output.stdout + &output.stderr;
        assert_eq!(output.status.code(), Some(2), "{text}");
        for line in LINES {
            let place = format!("{file}:{line}:");
            let found = text.lines().find(|shown| shown.starts_with(&place));
            let found = found.unwrap_or_else(|| panic!("no error at line {line}: {text}"));
            let column = found[place.len()..].split(':').next().and_then(|column| column.parse::<u32>().ok());
            assert!(column.is_some_and(|column| column > 0), "no column: {found}");
        }
        for word in ["colour", "nobody", "99999", "5000"] {
            assert!(text.contains(word), "{word:?} is not named: {text}");
        }
    }
}

#[test]
fn a_right_file_is_right() {
    let scene = Scene::new("right");
    let path = scene.lab.folder().join("network.toml");
    let right = "[node.edge1]\nlisten = [\"127.0.0.1:53\"]\n[origin.bind]\naddresses = [\"192.0.2.1\"]\n\
                 [zone.\"example.org\"]\norigins = [\"bind\"]\n";
    std::fs::write(&path, right).expect("writing a file");
    let output = parapet(scene.client(), &["check", &path.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_wrong_command_line() {
    let scene = Scene::new("usage");
    let wrong: [&[&str]; 4] = [
        &["run"],
        &["run", "--origin", "192.0.2.1"],
        &["run", "--origin", "nonsense", "--zone", "a.test", "--listen", "127.0.0.1:53", "--state", "s"],
        &["frobnicate"],
    ];
    for arguments in wrong {
        let output = parapet(scene.client(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty());
    }
}

/// Exit code, and what is said, without the log's lines.
fn refused(host: &Namespace, listen: &str, state: &str) -> (Option<i32>, String) {
    let run = ["run", "--origin", "192.0.2.1", "--zone", "a.test", "--listen", listen, "--state", state];
    let output = parapet(host, &run);
    let said: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("parapet: ")).collect();
    assert_eq!(said.len(), 1, "one sentence: {}", output.stderr);
    (output.status.code(), said[0].to_owned())
}

#[test]
fn what_the_system_refuses_is_said_in_one_sentence() {
    let scene = Scene::new("refused");
    let host = scene.host("edge1");
    let state = scene.lab.folder().join("state");
    let state = state.to_string_lossy();

    let taken = host.enter(|| std::net::UdpSocket::bind(("127.0.0.1", 53)).expect("a socket")).expect("the namespace");
    let (code, said) = refused(host, "127.0.0.1:53", &state);
    assert!(said.contains("127.0.0.1:53") && said.contains("in use"), "{said}");
    assert!(code.is_some_and(|code| code != 0), "{said}");
    drop(taken);

    let (code, said) = refused(host, "198.51.100.1:53", &state);
    assert!(said.contains("198.51.100.1"), "an address that the host does not have: {said}");
    assert!(code.is_some_and(|code| code != 0), "{said}");

    // Root may write anywhere; not where a file stands in the way.
    let file = scene.lab.folder().join("file");
    std::fs::write(&file, "").expect("writing a file");
    let inside = file.join("state");
    let (code, said) = refused(host, "127.0.0.1:53", &inside.to_string_lossy());
    assert!(said.contains(&*inside.to_string_lossy()), "{said}");
    assert!(code.is_some_and(|code| code != 0), "{said}");
}

/// Who may not bind port 53 is told what would help. The binary is copied to where everybody can run it.
#[test]
fn a_missing_privilege_is_said_in_one_sentence() {
    let scene = Scene::new("privilege");
    let host = scene.host("edge1");
    let folder = scene.lab.folder().to_string_lossy().into_owned();
    let binary = format!("{folder}/parapet");
    std::fs::copy(parapet_binary().expect("the parapet binary"), &binary).expect("a copy of the binary");
    let state = format!("{folder}/state");
    host.run("install", &["-d", "-m", "777", &state]).expect("a folder");
    let drop = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
    let run = ["run", "--origin", "192.0.2.1", "--zone", "a.test", "--listen", "127.0.0.1:53", "--state", &state];
    let output = host.program("setpriv").args(drop).arg(&binary).args(run).run().expect("parapet ends by itself");
    let said: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("parapet: ")).collect();
    assert_eq!(said.len(), 1, "one sentence: {}", output.stderr);
    assert!(said[0].contains("127.0.0.1:53") && said[0].contains("CAP_NET_BIND_SERVICE"), "{}", said[0]);
    assert_ne!(output.status.code(), Some(0));
}
