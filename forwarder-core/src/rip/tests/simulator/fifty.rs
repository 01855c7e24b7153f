//! Fifty routers in one thread, on links that lose, delay and reorder datagrams as a
//! seed has it. Each test prints its figures: `cargo test fifty -- --nocapture`.

use super::*;

const ROUTERS: usize = 50;
/// A tree, so many links beside it, and so many segments of several routers.
const SHORTCUTS: usize = 25;
const SEGMENTS: usize = 3;

/// One datagram in ten is lost.
const LOST: usize = 100;
/// The last one sent may be the first that comes.
const DELAY: Duration = Duration::from_millis(300);

/// A lost triggered update is made good by the next periodic one, at most 15 %
/// later than usual, and triggers follow each other within 5 s: a step of news takes
/// no longer, unless two updates in a row are lost.
const STEP: Duration = Duration::from_millis(34_500 + 5_000);
/// There are 15 steps to infinity.
const INFINITY: Duration = Duration::from_secs(15 * 40);
/// News, good or bad, goes through the network by as many steps as it is wide. A
/// third of them may lose two updates in a row.
const CONVERGENCE: Duration = Duration::from_secs(10 * 40);

/// A connected network in which nobody is further from another than RIP can count.
fn topology(chance: &mut Rng) -> Vec<Vec<usize>> {
    let mut links: Vec<Vec<usize>> = (1..ROUTERS)
        .map(|router| vec![router, below(chance, router)])
        .collect();
    let ends = [2; SHORTCUTS].into_iter().chain([4; SEGMENTS]);
    for count in ends {
        let mut routers = BTreeSet::new();
        while routers.len() < count {
            routers.insert(below(chance, ROUTERS));
        }
        links.push(routers.into_iter().collect());
    }
    links
}

fn network(seed: u64, mode: SplitHorizon) -> Network {
    let mut chance = Rng::new(seed);
    let links = topology(&mut chance);
    let links: Vec<_> = links.iter().map(Vec::as_slice).collect();
    let mut network = Network::new(&links, split(mode));
    let width = network
        .model()
        .iter()
        .flat_map(BTreeMap::values)
        .max()
        .copied();
    assert!(width.is_some_and(|width| width < 15), "{width:?}");
    network.weather = Weather {
        chance,
        lost: LOST,
        delay: DELAY,
    };
    network
}

/// How often is looked.
const GLANCE: Duration = Duration::from_secs(2);

/// Lets time pass until all agree with the model; how long that took, and how long the
/// most lasting loop did, to the next glance.
fn settle(network: &mut Network, patience: Duration) -> (Duration, Duration) {
    let model = network.model();
    let mut lasts = BTreeMap::<usize, Duration>::new();
    let mut longest = Duration::ZERO;
    let start = network.now;
    while !network.agrees(&model) {
        assert!(network.now - start < patience, "not within {patience:?}");
        network.run(GLANCE);
        let loops = network.loops();
        lasts.retain(|to, _| loops.contains(to));
        for to in loops {
            let last = lasts.entry(to).or_default();
            *last += GLANCE;
            longest = longest.max(*last);
        }
    }
    network.check();
    (network.now - start, longest)
}

/// Agreement lasts, although datagrams go on being lost.
fn rest(network: &mut Network) {
    let model = network.model();
    for _ in 0..4 {
        network.run(secs(10));
        assert!(network.agrees(&model), "what had settled has changed");
        assert_eq!(network.loops(), BTreeSet::new());
    }
}

/// Cuts links by chance; which.
fn cut(network: &mut Network, count: usize) -> BTreeSet<usize> {
    let mut links = BTreeSet::new();
    while links.len() < count {
        links.insert(below(&mut network.weather.chance, network.links.len()));
    }
    links.iter().for_each(|link| network.set_link(*link, false));
    links
}

#[test]
fn fifty_routers_on_lossy_and_reordering_links_find_the_shortest_ways() {
    for seed in 1..3 {
        let mut network = network(seed, SplitHorizon::Poison);
        let (took, _) = settle(&mut network, CONVERGENCE);
        rest(&mut network);
        println!("seed {seed}: {took:?}, {} datagrams", network.frames);
    }
}

/// A loop lasts until the metric has gone round it to infinity, at most.
fn loops_end(seed: u64, mode: SplitHorizon) {
    let mut network = network(seed, mode);
    settle(&mut network, CONVERGENCE);
    let links = cut(&mut network, 12);
    let (took, looped) = settle(&mut network, INFINITY);
    rest(&mut network);
    println!("{mode:?}: {took:?} after cuts of {links:?}, loops for {looped:?}");
    links.iter().for_each(|link| network.set_link(*link, true));
    let (took, _) = settle(&mut network, CONVERGENCE);
    println!("{mode:?}: {took:?} after they were mended");
}

#[test]
fn fifty_routers_with_poison_have_no_lasting_loops_after_cuts() {
    loops_end(11, SplitHorizon::Poison);
}

#[test]
fn fifty_routers_with_split_horizon_have_no_lasting_loops_after_cuts() {
    loops_end(12, SplitHorizon::Simple);
}

/// The links between two halves of the routers.
fn border(network: &Network) -> Vec<usize> {
    let both = |ends: &[usize]| {
        let far = ends.iter().filter(|router| **router >= ROUTERS / 2).count();
        far > 0 && far < ends.len()
    };
    let links = network.links.iter().enumerate();
    let border = links.filter(|(_, link)| both(&link.ends));
    border.map(|(number, _)| number).collect()
}

/// Two halves forget each other in bounded time.
fn partition(seed: u64, mode: SplitHorizon) {
    let mut network = network(seed, mode);
    settle(&mut network, CONVERGENCE);
    let links = border(&network);
    links.iter().for_each(|link| network.set_link(*link, false));
    let model = network.model();
    assert!(!model[0].contains_key(&(ROUTERS - 1)), "two parts");
    let (took, looped) = settle(&mut network, INFINITY);
    rest(&mut network);
    println!("{mode:?}: gone after {took:?}, loops for {looped:?}");
}

#[test]
fn fifty_routers_without_split_horizon_count_to_infinity_in_bounded_time() {
    partition(21, SplitHorizon::Off);
}

#[test]
fn fifty_routers_with_split_horizon_count_to_infinity_in_bounded_time() {
    partition(22, SplitHorizon::Simple);
}

#[test]
fn fifty_routers_with_poison_count_to_infinity_in_bounded_time() {
    partition(23, SplitHorizon::Poison);
}

#[test]
fn fifty_routers_count_to_infinity_in_bounded_time_when_links_fall_silent() {
    let mut network = network(31, SplitHorizon::Poison);
    settle(&mut network, CONVERGENCE);
    let links = border(&network);
    links
        .iter()
        .for_each(|link| network.links[*link].silent = true);
    // The model's links are there or not.
    let mut gone = network.model();
    for (from, known) in gone.iter_mut().enumerate() {
        known.retain(|to, _| (*to < ROUTERS / 2) == (from < ROUTERS / 2));
    }
    let silent = Timers::default().timeout;
    let start = network.now;
    let far = |network: &Network| {
        (0..ROUTERS).any(|from| {
            let mut others = (0..ROUTERS).filter(|to| !gone[from].contains_key(to));
            others.any(|to| network.metric(from, to).is_some())
        })
    };
    while far(&network) {
        assert!(network.now - start < silent + INFINITY, "still there");
        network.run(secs(1));
    }
    println!("gone after {:?}", network.now - start);
    assert!(network.now - start >= silent - STEP, "not by chance");
    network.check();
}

#[test]
fn the_same_seed_gives_fifty_routers_the_same_history() {
    let run = |seed| {
        let mut network = network(seed, SplitHorizon::Poison);
        network.run(secs(20));
        (
            network.frames,
            format!("{:?}", network.nodes[ROUTERS - 1].rip),
        )
    };
    assert_eq!(run(41), run(41));
    assert_ne!(run(41), run(42));
}
