// What Go builds Toxiproxy's server from: go.sum beside this file holds the checksum of every module.
module aqueduct/stack-toxiproxy

go 1.23.0

require (
	github.com/Shopify/toxiproxy/v2 v2.12.0
	github.com/beorn7/perks v1.0.1
	github.com/cespare/xxhash/v2 v2.3.0
	github.com/gorilla/mux v1.8.1
	github.com/klauspost/compress v1.17.11
	github.com/mattn/go-colorable v0.1.13
	github.com/mattn/go-isatty v0.0.20
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822
	github.com/prometheus/client_golang v1.21.1
	github.com/prometheus/client_model v0.6.1
	github.com/prometheus/common v0.62.0
	github.com/prometheus/procfs v0.15.1
	github.com/rs/xid v1.5.0
	github.com/rs/zerolog v1.33.0
	golang.org/x/sys v0.31.0
	google.golang.org/protobuf v1.36.1
	gopkg.in/tomb.v1 v1.0.0-20141024135613-dd632973f1e7
)
