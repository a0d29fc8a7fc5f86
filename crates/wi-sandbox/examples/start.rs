//! How long a world with that many pods takes to be read and to start: `cargo run --release -p wi-sandbox --example start -- 100000`.

use std::fmt::Write as _;
use std::time::Instant;

use wi_sandbox::{Options, Sandbox, World};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pods: usize = std::env::args().nth(1).unwrap_or_default().parse()?;
    let mut world = format!(
        "apiVersion: wi.sandbox/v1\nprojects: {{ acme: {{}} }}\nclusters:\n  - project: acme\n    location: europe-west1\n    name: main\n    workloadPool: acme.svc.id.goog\n    nodePools: [{{ name: p, nodes: {}, workloadMetadata: GKE_METADATA }}]\n    pods:\n",
        pods.div_ceil(50)
    );
    for pod in 0..pods {
        writeln!(
            world,
            "      - {{ name: web-{pod}, namespace: ns-{}, owner: {{ kind: ReplicaSet, name: web }}, containers: [{{ name: c, image: x }}] }}",
            pod % 100
        )?;
    }
    let begun = Instant::now();
    let world = World::parse(&world, "the world")?;
    let read = begun.elapsed();
    let sandbox = Sandbox::start(world, Options::default()).await?;
    let started = begun.elapsed();
    let known = sandbox.access().len();
    println!(
        "{known} pods: read in {read:?}, started after {started:?}, asked for their access after {:?}",
        begun.elapsed()
    );
    Ok(())
}
