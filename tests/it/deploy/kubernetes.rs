//! The manifest of docs/kubernetes.md.

use serde_json::Value;

use super::{capabilities, is_enough_to_stop, is_valid};
use crate::gateway::{Gateway, with_peers};
use crate::page_files::{Page, edited, python, yaml};

fn manifest() -> String {
    Page::open("kubernetes.md").file("lockgate.yml")
}

fn store() -> String {
    Page::open("kubernetes.md").file("valkey.yml")
}

/// The object of this kind and name.
fn named(manifest: &str, kind: &str, name: &str) -> Value {
    let is_it = |document: &Value| document["kind"] == kind && document["metadata"]["name"] == name;
    yaml(manifest).into_iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn object(kind: &str) -> Value {
    named(&manifest(), kind, "lockgate")
}

/// Where a Service is found.
fn place(service: &Value) -> String {
    let (metadata, port) = (&service["metadata"], &service["spec"]["ports"][0]["port"]);
    let [name, namespace] = ["name", "namespace"].map(|key| metadata[key].as_str().unwrap());
    format!("{name}.{namespace}.svc.cluster.local:{port}")
}

fn settings() -> String {
    object("ConfigMap")["data"]["lockgate.toml"].as_str().unwrap().to_owned()
}

#[test]
fn the_manifest_is_valid_to_the_last_key() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("lockgate.yml");
    let validate = |text: &str| {
        std::fs::write(&file, text).unwrap();
        python("kubernetes-validate", &["--strict", file.to_str().unwrap()], "")
    };
    let (success, said) = validate(&manifest());
    assert!(success && said.matches("passed for resource").count() == 6, "{said}");
    let (success, said) = validate(&store());
    assert!(success && said.matches("passed for resource").count() == 3, "{said}");
    let (success, said) = validate(&edited(&manifest(), &[("replicas: 3", "replica: 3")]));
    assert!(!success, "a key that there is not passes: {said}");
}

#[test]
fn its_settings_are_valid_and_the_pod_may_take_as_long_as_they_say() {
    let settings = is_valid(&settings());
    let pod = &object("StatefulSet")["spec"]["template"]["spec"];
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    // SIGTERM comes after this.
    let before = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    is_enough_to_stop(&settings, std::time::Duration::from_secs(grace - before));
    Page::open("cluster.md").says(&format!("the manifest](kubernetes.md) has {grace} s"));
}

#[test]
fn its_pods_find_each_other_and_their_store() {
    let settings: toml::Table = settings().parse().unwrap();
    let (pods, nodes) = (object("StatefulSet"), named(&manifest(), "Service", "lockgate-nodes"));
    assert_eq!(settings["cluster"]["reach"].as_str(), Some("forward"));
    assert_eq!(settings["cluster"]["nodes"][0].as_str(), Some(&*place(&nodes)));
    // A name for all pods, those that drain included, since they have sessions.
    let spec = &nodes["spec"];
    assert_eq!((&spec["clusterIP"], &spec["publishNotReadyAddresses"]), (&"None".into(), &true.into()));
    assert_eq!(
        (&pods["spec"]["serviceName"], &spec["ports"][0]["targetPort"]),
        (&"lockgate-nodes".into(), &"nodes".into())
    );
    let ports = pods["spec"]["template"]["spec"]["containers"][0]["ports"].as_array().unwrap();
    let port = ports.iter().find(|port| port["name"] == "nodes").unwrap()["containerPort"].to_string();
    assert!(place(&nodes).ends_with(&format!(":{port}")));
    let defaults: toml::Table = super::read("config/default.toml").parse().unwrap();
    assert!(defaults["cluster"]["listen"].as_str().unwrap().ends_with(&format!(":{port}")));
    let url = format!("redis://{}/0", place(&named(&store(), "Service", "valkey")));
    assert_eq!(settings["store"]["url"].as_str(), Some(&*url));
    let made = Page::open("kubernetes.md").text;
    for name in ["LOCKGATE_CLUSTER_SECRET", "LOCKGATE_STORE_PASSWORD"] {
        assert!(made.contains(&format!("--from-literal={name}=")), "nobody makes {name}");
    }
}

#[test]
fn its_store_is_for_its_pods_alone() {
    let [deployment, service, policy] =
        ["Deployment", "Service", "NetworkPolicy"].map(|kind| named(&store(), kind, "valkey"));
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    for selector in [
        &deployment["spec"]["selector"]["matchLabels"],
        &service["spec"]["selector"],
        &policy["spec"]["podSelector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    let ways = policy["spec"]["ingress"].as_array().unwrap();
    let pods = &object("StatefulSet")["spec"]["template"]["metadata"]["labels"];
    assert_eq!((ways.len(), &ways[0]["from"][0]["podSelector"]["matchLabels"]), (1, pods));
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert!(container["command"][2].as_str().unwrap().contains("--requirepass \"$PASSWORD\""));
}

#[test]
fn its_parts_fit_together() {
    let pods = object("StatefulSet");
    let (spec, pod) = (&pods["spec"], &pods["spec"]["template"]["spec"]);
    let labels = &spec["template"]["metadata"]["labels"];
    let (service, policy) = (object("Service"), object("NetworkPolicy"));
    let apart = &pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0];
    // One after the other, be it for a new version or for a machine that is emptied.
    let budget = object("PodDisruptionBudget");
    assert_eq!(
        (&spec["updateStrategy"]["type"], &budget["spec"]["maxUnavailable"]),
        (&"RollingUpdate".into(), &1.into())
    );
    for selector in [
        &spec["selector"]["matchLabels"],
        &service["spec"]["selector"],
        &named(&manifest(), "Service", "lockgate-nodes")["spec"]["selector"],
        &budget["spec"]["selector"]["matchLabels"],
        &policy["spec"]["podSelector"]["matchLabels"],
        // Their sessions have the same user ids, and the kernel counts a user's processes over all containers.
        &apart["labelSelector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    let container = &pod["containers"][0];
    let settings: toml::Table = settings().parse().unwrap();
    for (name, section) in [("clients", "listen"), ("admin", "admin")] {
        let ports = container["ports"].as_array().unwrap();
        let port = ports.iter().find(|port| port["name"] == name).unwrap()["containerPort"].as_u64().unwrap();
        let address = settings[section]["address"].as_str().unwrap();
        assert!(address.ends_with(&format!(":{port}")), "{name}: {address}");
    }
    // Clients are all that it spreads: each pod is watched by itself.
    let spread = service["spec"]["ports"].as_array().unwrap();
    assert!(spread.len() == 1 && spread[0]["targetPort"] == "clients", "{spread:?}");
    // Each way in is open to somebody else.
    let ways = policy["spec"]["ingress"].as_array().unwrap();
    let open: Vec<_> = ways.iter().map(|way| way["ports"][0]["port"].as_str().unwrap()).collect();
    assert_eq!(open, ["clients", "admin", "nodes"]);
    assert!(ways.iter().all(|way| way["ports"].as_array().unwrap().len() == 1 && way["from"].is_array()));
    assert_ne!(ways[0]["from"], ways[1]["from"]);
    assert_eq!(ways[2]["from"], serde_json::json!([{ "podSelector": { "matchLabels": labels } }]));
    let adds = container["securityContext"]["capabilities"]["add"].as_array().unwrap();
    assert_eq!(*adds, capabilities::NEEDED);
    // What is written to is there, though the rest cannot be.
    let volumes: Vec<_> = pod["volumes"].as_array().unwrap().iter().map(|volume| &volume["name"]).collect();
    let mounts = container["volumeMounts"].as_array().unwrap();
    assert!(mounts.iter().all(|mount| volumes.contains(&&mount["name"])));
    let places: Vec<_> = mounts.iter().map(|mount| mount["mountPath"].as_str().unwrap()).collect();
    let directory = container["env"][0]["value"].as_str().unwrap();
    assert!([directory, "/run/lockgate", "/tmp"].iter().all(|place| places.contains(place)), "{places:?}");
    assert_eq!(settings["sandbox"]["templates"].as_str(), Some(directory));
}

#[tokio::test]
async fn its_probes_are_answered_whatever_the_pod_is_called() {
    let page = edited(
        &settings(),
        &[
            // What is asked here is one pod.
            (
                "[cluster]\nreach = \"forward\"\nnodes = [\"lockgate-nodes.lockgate.svc.cluster.local:8002\"]\n",
                "",
            ),
            ("[store]\nurl = \"redis://valkey.lockgate.svc.cluster.local:6379/0\"\n", ""),
            ("[sandbox]\ntemplates = \"/var/lib/lockgate\"\n", ""),
            ("[servers.time]\nrun = \"uvx mcp-server-time\"\nprefetch = true\n", ""),
            ("servers = [\"time\"]", "servers = [\"*\"]"),
        ],
    );
    let gateway = Gateway::start_bare(&with_peers(&page), &[]);
    let pods = object("StatefulSet");
    let container = &pods["spec"]["template"]["spec"]["containers"][0];
    let port = gateway.address.rsplit(':').next().unwrap();
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], "clients");
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        let request = crate::client::http().build().unwrap().get(format!("http://127.0.0.1:{port}{path}"));
        let answer = request.header("host", "10.1.2.3:8080").send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}
