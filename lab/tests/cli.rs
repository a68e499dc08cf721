//! The binary `parapet-lab`: what it prints, how it ends, what it leaves behind. Needs root, the packages of
//! scripts/setup, and the parapet binary beside it (cargo build --workspace).

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parapet_lab::until;

const DEADLINE: Duration = Duration::from_secs(60);

type Result = std::result::Result<(), Box<dyn std::error::Error>>;

fn lab() -> Command {
    Command::new(env!("CARGO_BIN_EXE_parapet-lab"))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// `up` with a topology, once it says that it is up; with the folder of its run.
fn up(topology: &str) -> std::result::Result<(Child, PathBuf), Box<dyn std::error::Error>> {
    let mut child = lab().args(["up", topology]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut folder = None;
    for line in BufReader::new(child.stdout.take().ok_or("no output")?).lines() {
        let line = line?;
        if let Some(path) = line.strip_prefix("Configurations and outputs: ") {
            folder = Some(PathBuf::from(path));
        }
        if line.starts_with("Ctrl-C") {
            return Ok((child, folder.ok_or("it did not name its folder")?));
        }
    }
    Err("it ended before it was up".into())
}

/// Processes whose environment says that they belong to the run with this folder.
fn processes_of(folder: &std::path::Path) -> usize {
    let mark = format!("PARAPET_LAB_RUN={}", folder.file_name().unwrap_or_default().to_string_lossy());
    let marked = |entry: &fs::DirEntry| {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    fs::read_dir("/proc").map_or(0, |entries| entries.flatten().filter(marked).count())
}

#[test]
fn list_names_topologies_scenarios_and_benchmarks() -> Result {
    let printed = text(&lab().arg("list").output()?);
    for name in
        ["hidden-origin", "pair", "internet", "freeze", "stale", "answers", "transfer", "change", "start", "failover"]
    {
        assert!(printed.contains(&format!("  {name} ")), "{printed}");
    }
    Ok(())
}

#[test]
fn an_unknown_topology_is_named_with_those_there_are() -> Result {
    let output = lab().args(["up", "nowhere"]).output()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("\"nowhere\"; there are: hidden-origin, pair"), "{}", text(&output));
    Ok(())
}

#[test]
fn the_demo_ends_well_and_no_client_reached_the_origin() -> Result {
    let folder = std::env::temp_dir().join(format!("parapet-lab-test-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let picture = folder.join("timeline.svg");
    let output = lab().arg("demo").arg("--picture").arg(&picture).output()?;
    let printed = text(&output);
    assert!(output.status.success(), "{printed}");
    let drawn = fs::read_to_string(&picture)?;
    let flood = fs::read_to_string(folder.join("parapet-flood.svg"))?;
    fs::remove_dir_all(&folder)?;
    for label in ["defences off", "defences on", "/s random-names"] {
        assert!(flood.starts_with("<svg") && flood.contains(label), "{label} is missing in {flood}");
    }
    for label in ["kill nyc-1", "freeze sin-1", "drain ams-1", "cut ams-2", ">europe<", ">asia<"] {
        assert!(drawn.starts_with("<svg") && drawn.contains(label), "{label} is missing in {drawn}");
    }
    let clients = printed.lines().find_map(|line| line.trim().strip_prefix("from the clients"));
    assert_eq!(clients.map(str::trim), Some("0 packets"), "{printed}");
    assert!(printed.contains("49739 (100.00%)"), "{printed}");
    Ok(())
}

#[test]
fn a_signal_takes_everything_down() -> Result {
    let (mut child, folder) = up("hidden-origin")?;
    assert!(processes_of(&folder) >= 4, "an origin and three edges");
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
    assert_eq!(child.wait()?.code(), Some(130));
    assert!(!folder.exists());
    until("the servers to end", DEADLINE, || (processes_of(&folder) == 0).then_some(()))?;
    Ok(())
}

#[test]
fn the_internet_goes_up_and_down() -> Result {
    let (mut child, folder) = up("internet")?;
    assert!(processes_of(&folder) > 12 + 6, "routers, edges, and an origin");
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
    assert_eq!(child.wait()?.code(), Some(143));
    until("the servers to end", DEADLINE, || (processes_of(&folder) == 0).then_some(()))?;
    Ok(())
}

#[test]
fn a_killed_lab_leaves_no_process_and_the_next_one_sweeps_its_folder() -> Result {
    let (mut child, folder) = up("hidden-origin")?;
    child.kill()?;
    child.wait()?;
    until("the servers to end", DEADLINE, || (processes_of(&folder) == 0).then_some(()))?;
    assert!(folder.exists());
    drop(parapet_lab::Lab::new("sweeper")?);
    assert!(!folder.exists());
    Ok(())
}

#[test]
fn a_benchmark_for_machines_is_one_object_with_a_row_for_each_figure() -> Result {
    let output = lab().args(["bench", "transfer", "--json", "--records", "1000", "--repeats", "1"]).output()?;
    assert!(output.status.success(), "{}", text(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(report["bench"], "transfer");
    assert!(report["machine"].as_str().is_some_and(|machine| machine.contains("Linux")));
    let rows = report["rows"].as_array().ok_or("no rows")?;
    for subject in ["parapet", "nsd", "knot"] {
        let row = rows.iter().find(|row| row["subject"] == subject && row["metric"] == "time_to_serving");
        let row = row.ok_or(format!("no time for {subject}"))?;
        assert!(row["value"].as_f64().is_some_and(|value| value > 0.0), "{row}");
        assert_eq!((&row["unit"], &row["case"]), (&"s".into(), &"1000 records".into()));
    }
    Ok(())
}
