//! Several gateways that serve the same clients, each on a machine of its own, and the store that they may share.

use std::fs;
use std::net::SocketAddr;
use std::process::ExitStatus;

use super::lan::{Lan, Machine};
use super::store::{Guard, PASSWORD, Store};
use crate::admin::ADMIN_SECRET;
use crate::gateway::{Gateway, SECRET, lockgate, until_told, with_peers};
use crate::scrape::Scrape;

const CLUSTER_SECRET: &str = "test-secret-of-the-cluster-0123456789abcdef";
/// What stands for all their addresses, where they go by a name.
const NAME: &str = "lockgate.internal";
/// The last parts of the addresses of whoever is in front and of the store.
const FRONT: u8 = 1;
const STORE: u8 = 2;
/// To which the number of a node is added.
const NODES: u8 = 10;

/// What nodes are to be.
#[derive(Clone)]
pub(super) struct Plan {
    /// `none`: they know nothing of each other.
    reach: &'static str,
    store: Option<Guard>,
    away: &'static str,
    settings: String,
    by_name: bool,
}

impl Plan {
    pub(super) fn of(reach: &'static str) -> Self {
        Self { reach, store: None, away: "alone", settings: String::new(), by_name: false }
    }

    pub(super) fn with_store(mut self, guard: Guard) -> Self {
        self.store = Some(guard);
        self
    }

    /// What they do without it.
    pub(super) fn away(mut self, away: &'static str) -> Self {
        self.away = away;
        self
    }

    /// And these settings, of each.
    pub(super) fn with(mut self, settings: &str) -> Self {
        self.settings.push_str(settings);
        self
    }

    /// They find each other by a name that has all their addresses.
    pub(super) fn by_name(mut self) -> Self {
        self.by_name = true;
        self
    }
}

/// Nodes n1, n2 and n3.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Node>,
    pub(super) store: Option<Store>,
    /// Where clients and whoever is in front of the nodes are.
    front: Machine,
    _lan: Lan,
}

pub(super) struct Node {
    pub(super) name: String,
    pub(super) machine: Machine,
    settings: String,
    variables: Vec<(&'static str, &'static str)>,
    /// `/etc/hosts` of its machine, if it is not the host's.
    hosts: Option<String>,
    /// `None` while it does not run.
    gateway: Option<Gateway>,
    /// Where the last one ran.
    place: Option<tempfile::TempDir>,
}

impl Cluster {
    /// Does this with running nodes, on the machine in front of them. Nothing is done where the tests lack what it takes.
    pub(super) fn run(plan: Plan, test: impl AsyncFnOnce(&mut Self) + Send) {
        Self::run_machines(&plan, async |cluster| {
            cluster.nodes.iter_mut().for_each(Node::start);
            if plan.reach != "none" {
                cluster.until_together().await;
            }
            test(cluster).await;
        });
    }

    /// The same with the machines alone.
    pub(super) fn run_machines(plan: &Plan, test: impl AsyncFnOnce(&mut Self) + Send) {
        if !crate::traces::is_root() {
            return;
        }
        let Some(mut cluster) = Self::planned(plan) else { return };
        let work = || {
            // Whatever this thread starts is there, too.
            cluster.front.enter();
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(test(&mut cluster));
        };
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let thread = std::thread::Builder::new().name(name);
        let done = std::thread::scope(|scope| thread.spawn_scoped(scope, work).unwrap().join());
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
    }

    fn planned(plan: &Plan) -> Option<Self> {
        let lan = Lan::new();
        let front = lan.machine(FRONT);
        let store = match plan.store {
            Some(guard) => Some(Store::start(lan.machine(STORE), guard)?),
            None => None,
        };
        let machines: Vec<Machine> = (1..=3).map(|number| lan.machine(NODES + number)).collect();
        let addresses: Vec<String> = machines.iter().map(|machine| machine.address.clone()).collect();
        let nodes = machines.into_iter().enumerate().map(|(index, machine)| {
            Node::planned(plan, format!("n{}", index + 1), machine, &addresses, store.as_ref())
        });
        Some(Self { nodes: nodes.collect(), store, front, _lan: lan })
    }

    /// Waits until each running node knows of all that run.
    pub(super) async fn until_together(&self) {
        let running: Vec<&Node> = self.nodes.iter().filter(|node| node.gateway.is_some()).collect();
        for node in &running {
            until_told(&format!("{} knows the others", node.name), async || {
                node.scrape().await.sum("lockgate_cluster_nodes", &[]) == running.len() as f64
            })
            .await;
        }
    }

    /// The address of the machine in front.
    pub(super) fn front(&self) -> &str {
        &self.front.address
    }

    /// Whoever is in front does not reach this node any more.
    pub(super) fn part_from_front(&self, node: usize) {
        self.front.part(&self.nodes[node].machine);
    }

    pub(super) fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.name == name).expect("a node of this name")
    }

    /// The same of all running ones together.
    pub(super) async fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut sum = 0.0;
        for node in self.nodes.iter().filter(|node| node.gateway.is_some()) {
            sum += node.scrape().await.sum(name, labels);
        }
        sum
    }
}

impl Node {
    fn planned(
        plan: &Plan,
        name: String,
        machine: Machine,
        addresses: &[String],
        store: Option<&Store>,
    ) -> Self {
        let own = &machine.address;
        let mut settings = format!(
            "[listen]\naddress = \"{own}:8000\"\n[admin]\naddress = \"{own}:8001\"\n{}",
            plan.settings
        );
        let mut variables = vec![("LOCKGATE_SECRET", SECRET), ("LOCKGATE_ADMIN_SECRET", ADMIN_SECRET)];
        if plan.reach != "none" {
            let all: Vec<_> = addresses.iter().map(|address| format!("{address}:8002")).collect();
            let nodes = if plan.by_name { vec![format!("{NAME}:8002")] } else { all };
            settings += &format!(
                "[cluster]\nreach = {:?}\nnode = {name:?}\nlisten = \"{own}:8002\"\nnodes = {nodes:?}\n",
                plan.reach
            );
            variables.push(("LOCKGATE_CLUSTER_SECRET", CLUSTER_SECRET));
        }
        if let Some(store) = store {
            settings += &format!("{}away = {:?}\n", store.settings(), plan.away);
            variables.extend(store.has_password().then_some(("LOCKGATE_STORE_PASSWORD", PASSWORD)));
        }
        let program = lockgate().get_program().to_str().unwrap().to_owned();
        settings += &format!("[servers.demo]\nrun = \"{program} demo\"\n");
        let hosts: String = addresses.iter().map(|address| format!("{address} {NAME}\n")).collect();
        let hosts = plan.by_name.then(|| format!("127.0.0.1 localhost\n{hosts}"));
        Self { name, machine, settings: with_peers(&settings), variables, hosts, gateway: None, place: None }
    }

    /// Starts it, and waits until it serves clients.
    pub(super) fn start(&mut self) {
        let place = self.place.take().unwrap_or_else(|| tempfile::tempdir().unwrap());
        let mut command = self.machine.command();
        if let Some(hosts) = &self.hosts {
            fs::write(place.path().join("hosts"), hosts).unwrap();
            let script = "mount --bind hosts /etc/hosts; exec \"$0\" \"$@\"";
            command.args(["unshare", "--mount", "--propagation", "private", "sh", "-ec", script]);
        }
        command.arg(lockgate().get_program()).arg("serve");
        command.env_clear().env("PATH", std::env::var("PATH").unwrap());
        self.gateway = Some(Gateway::start_where_told(command, place, &self.settings, &self.variables));
    }

    /// As if its machine had lost its power.
    pub(super) fn kill(&mut self) {
        self.gateway().signal("KILL");
        self.ended();
    }

    /// Asks it to stop, and waits until it has.
    pub(super) fn stop(&mut self) -> ExitStatus {
        self.gateway().signal("TERM");
        self.ended()
    }

    /// Waits for its end; it can be started again then.
    pub(super) fn ended(&mut self) -> ExitStatus {
        let mut gateway = self.gateway.take().expect("it runs");
        let status = gateway.wait();
        self.place = Some(gateway.take_place());
        status
    }

    pub(super) fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("it runs")
    }

    /// Where clients reach it and no other.
    pub(super) fn base(&self) -> String {
        format!("http://{}:8000", self.machine.address)
    }

    /// The same for whoever is in front of it.
    pub(super) fn address(&self) -> SocketAddr {
        format!("{}:8000", self.machine.address).parse().unwrap()
    }

    pub(super) async fn scrape(&self) -> Scrape {
        let request = crate::client::http().pool_max_idle_per_host(0).build().unwrap();
        let request = request.get(format!("http://{}:8001/metrics", self.machine.address));
        let response = request.bearer_auth(ADMIN_SECRET).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Scrape::read(response.text().await.unwrap())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() && self.gateway.is_some() {
            eprintln!("{}:", self.name);
        }
    }
}
