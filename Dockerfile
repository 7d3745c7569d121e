# One static binary and nothing else: `docker build -t precede .`; `compose.yaml` starts a cluster of it.
FROM rust:1-bookworm AS build
WORKDIR /precede
COPY . .
# A target that is named keeps the flags from what runs at build time: procedural macros cannot be static.
RUN target="$(rustc -vV | sed -n 's/^host: //p')" \
    && RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols" \
       cargo build --release --locked --package precede --target "$target" \
    && cp "target/$target/release/precede" /precede/precede

FROM scratch
COPY --from=build /precede/precede /precede
# The user has no name here: there is no file that would hold one.
USER 65532:65532
# From the environment, the port also opens the listener on all interfaces.
ENV PORT=8080
EXPOSE 8080
# Readiness, not only life: a node that has not met its shard refuses requests.
HEALTHCHECK --interval=2s --timeout=3s --start-period=15s --retries=3 CMD ["/precede", "health"]
ENTRYPOINT ["/precede"]
CMD ["serve"]
