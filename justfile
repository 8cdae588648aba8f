# What people and CI run.

# The whole pipeline on a sample pack and three sample hotfixes
demo:
    cargo run -p quickstart

# Everything that CI checks
check: fmt clippy doc deny test

fmt:
    cargo fmt --all --check

clippy:
    cargo clippy --workspace --all-targets --locked -- --deny warnings

test:
    cargo test --workspace --locked

# API documentation, in target/doc
doc:
    RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps --document-private-items --locked

# Licences, bans and sources of dependencies
deny:
    cargo deny --locked check bans licenses sources
