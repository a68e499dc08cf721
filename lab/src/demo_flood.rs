//! The fourth part of `parapet-lab demo`: a flood of random names from random sources, beside real clients. The same server
//! without its defences, and with them.

use std::path::Path;

use anyhow::{Context, bail};
use parapet_lab::{
    attack::Attack,
    clients::{CLIENT_CORE, Defender, Ground, Mode, Plan, Setup, Trial, keep_to, run},
    picture::{Floods, percent},
};

use crate::flood::{summary, table};

/// Packets a second: what one core of a usual machine sends and another one bears. A debug build does neither, and where
/// there is one core for all, there is less for each.
const RATE_PER_S: u32 = if cfg!(debug_assertions) { 10_000 } else { 200_000 };
const RATE_PER_S_ONE_CORE: u32 = RATE_PER_S / 10;
/// Questions a second from real clients.
const REAL_PER_S: u32 = if cfg!(debug_assertions) { 500 } else { 2_000 };
/// The picture for the terminal is so wide.
const TERMINAL_COLUMNS: usize = 100;
/// So many of the real questions are answered, retries included, or it did not go as it should.
const ANSWERED_MIN: f64 = 0.99;

/// Tells it, and writes the picture; gives the lines for the table at the end.
pub(crate) fn tell(picture: &Path) -> anyhow::Result<Vec<(String, String)>> {
    println!("\n== A flood ==");
    println!(
        "Two thousand resolvers ask as resolvers do, each from an address of its own: popular names more often, nothing again\n\
         before its TTL is over, again after 400, 800 and 1600 ms without an answer, over TCP where it was truncated. Then\n\
         random sources ask for random names. First without defences, then with them; all else is the same.\n"
    );
    let ground = on_its_core(|| Ground::build("flood"))?;
    let rate_per_s = if ground.server_core().is_some() { RATE_PER_S } else { RATE_PER_S_ONE_CORE };
    let off = on_its_core(|| try_it(&ground, Mode::Off, rate_per_s))?;
    let on = on_its_core(|| try_it(&ground, Mode::On, rate_per_s))?;
    println!("   With defences, second by second:\n");
    for line in table(&on).lines().chain([""]).chain(summary(&on).lines()) {
        println!("   {line}");
    }
    let title = format!("{rate_per_s} queries a second for random names from random sources");
    let trials = vec![("defences off".to_owned(), &off), ("defences on".to_owned(), &on)];
    let floods = Floods { title, trials };
    let colours = std::io::IsTerminal::is_terminal(&std::io::stdout());
    println!();
    for line in floods.terminal(TERMINAL_COLUMNS, colours).lines() {
        println!("   {line}");
    }
    std::fs::write(picture, floods.svg()).with_context(|| format!("writing {}", picture.display()))?;
    println!("\n   The same as a picture: {}", picture.display());
    println!("   Other attacks, other servers: parapet-lab attack reflection --peer nsd, parapet-lab list");
    println!(
        "   With what is answered before the network stack: parapet-lab attack random-names --lanes kernel --rate 600000"
    );
    check(&on)?;
    let told = |trial: &Trial| {
        let real = &trial.under_attack;
        format!("{}, {} at the first try", percent(real.answered_share()), percent(real.first_try_share()))
    };
    Ok(vec![
        ("flood without defences: real questions answered".to_owned(), told(&off)),
        ("flood with defences: real questions answered".to_owned(), told(&on)),
        ("flood with defences: bytes to the sources per byte sent".to_owned(), format!("{:.2}", on.amplification())),
    ])
}

/// On a thread of its own, kept to its core: whatever comes after in this program may use all cores.
fn on_its_core<T: Send, E: Into<anyhow::Error> + Send>(
    work: impl FnOnce() -> Result<T, E> + Send,
) -> anyhow::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            keep_to(CLIENT_CORE)?;
            work().map_err(Into::into)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn try_it(ground: &Ground, mode: Mode, rate_per_s: u32) -> anyhow::Result<Trial> {
    let defended = Defender::Parapet.start(ground, &Setup { mode, ..Setup::default() })?;
    let clients = ground.clients().per_s(REAL_PER_S).start()?;
    let plan = Plan { warm_up_s: 8, calm_s: 2, attack_s: 5, after_s: 2, ..Plan::new(Attack::RandomNames, rate_per_s) };
    let trial = run(ground, &defended, clients, &plan, |_, _| ())?;
    defended.stop()?;
    Ok(trial)
}

/// What is sure on any machine. How much is answered without defences is not, nor how soon.
fn check(on: &Trial) -> anyhow::Result<()> {
    let real = &on.under_attack;
    if real.answered_share() < ANSWERED_MIN {
        bail!("with defences only {} of the real questions were answered: {real:?}", percent(real.answered_share()));
    }
    if on.after.answered_share() < ANSWERED_MIN {
        bail!("after the flood only {} were answered: {:?}", percent(on.after.answered_share()), on.after);
    }
    Ok(())
}
