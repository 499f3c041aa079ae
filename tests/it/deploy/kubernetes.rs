//! The manifest of docs/kubernetes.md.

use serde_json::Value;

use super::{capabilities, is_enough_to_stop, is_valid};
use crate::gateway::{Gateway, with_peers};
use crate::page_files::{Page, edited, python, yaml};

fn manifest() -> String {
    Page::open("kubernetes.md").file("lockgate.yml")
}

/// The object of this kind.
fn object(kind: &str) -> Value {
    let documents = yaml(&manifest());
    documents.into_iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
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
    assert!(success && said.matches("passed for resource").count() == 4, "{said}");
    let (success, said) = validate(&edited(&manifest(), &[("replicas: 1", "replica: 1")]));
    assert!(!success, "a key that there is not passes: {said}");
}

#[test]
fn its_settings_are_valid_and_the_pod_may_take_as_long_as_they_say() {
    let settings = is_valid(&settings());
    let pod = &object("Deployment")["spec"]["template"]["spec"];
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    is_enough_to_stop(&settings, std::time::Duration::from_secs(grace));
}

#[test]
fn its_parts_fit_together() {
    let deployment = object("Deployment");
    let (spec, pod) = (&deployment["spec"], &deployment["spec"]["template"]["spec"]);
    // Sessions live in one process, and never in two at a time.
    assert_eq!((spec["replicas"].as_u64(), spec["strategy"]["type"].as_str()), (Some(1), Some("Recreate")));
    let labels = &spec["template"]["metadata"]["labels"];
    let (service, policy) = (object("Service"), object("NetworkPolicy"));
    for selector in [
        &spec["selector"]["matchLabels"],
        &service["spec"]["selector"],
        &policy["spec"]["podSelector"]["matchLabels"],
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
        assert!(service["spec"]["ports"].as_array().unwrap().iter().any(|port| port["targetPort"] == name));
    }
    // Each way in is open to somebody else.
    let ways = policy["spec"]["ingress"].as_array().unwrap();
    assert_eq!(ways.len(), 2);
    assert!(ways.iter().all(|way| way["ports"].as_array().unwrap().len() == 1 && way["from"].is_array()));
    assert_ne!(ways[0]["from"], ways[1]["from"]);
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
            ("[sandbox]\ntemplates = \"/var/lib/lockgate\"\n", ""),
            ("[servers.time]\nrun = \"uvx mcp-server-time\"\nprefetch = true\n", ""),
            ("servers = [\"time\"]", "servers = [\"*\"]"),
        ],
    );
    let gateway = Gateway::start_bare(&with_peers(&page), &[]);
    let deployment = object("Deployment");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let port = gateway.address.rsplit(':').next().unwrap();
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], "clients");
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        let request = crate::client::http().build().unwrap().get(format!("http://127.0.0.1:{port}{path}"));
        let answer = request.header("host", "10.1.2.3:8080").send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
}
