package broker

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// startCluster starts three servers that keep JetStream's streams together.
func startCluster(t *testing.T) (servers []*server.Server, urls string) {
	t.Helper()
	var routes []*url.URL
	var all []string
	options := make([]*server.Options, 3)
	for i := range options {
		socket, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port := socket.Addr().(*net.TCPAddr).Port
		require.NoError(t, socket.Close())
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
		options[i] = &server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: embeddedMaxStore,
			Cluster: server.ClusterOpts{Name: "three", Host: "127.0.0.1", Port: port},
		}
	}
	for _, o := range options {
		o.Routes = routes
		s, err := server.NewServer(o)
		require.NoError(t, err)
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		servers = append(servers, s)
	}
	for _, s := range servers {
		require.True(t, s.ReadyForConnections(patience))
		all = append(all, s.ClientURL())
	}
	return servers, strings.Join(all, ",")
}

// clustered returns a connection on which the stream has n copies.
func clustered(t *testing.T, urls string, n int) *Conn {
	t.Helper()
	c, err := Connect(t.Context(), Config{URL: urls, Name: t.Name(), Log: quiet(), Replicas: n})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.Eventually(t, func() bool { return c.Reconcile(t.Context(), []Durable{charge}) == nil }, patience, 100*time.Millisecond)
	return c
}

// TestThreeCopiesOutliveTheLossOfAServer: a stream that was made with one copy gets
// three when the setting says so; then the server that leads it may die, and what
// was acknowledged is still delivered, as is what is published afterwards.
func TestThreeCopiesOutliveTheLossOfAServer(t *testing.T) {
	t.Parallel()
	servers, urls := startCluster(t)
	publishMany(t, clustered(t, urls, 1), chargeSubject, "single", 10)

	c := clustered(t, urls, 3)
	var leader string
	eventually(t, func() bool { // every copy is up to date
		stream, err := c.js.Stream(t.Context(), StreamName)
		if err != nil {
			return false
		}
		durable, err := stream.Consumer(t.Context(), charge.Name())
		if err != nil {
			return false
		}
		leader = stream.CachedInfo().Cluster.Leader
		return copies(stream.CachedInfo().Cluster) == 3 && copies(durable.CachedInfo().Cluster) == 3
	}, "the stream and its durable have no three copies")

	publishMany(t, c, chargeSubject, "before", 50)
	for _, s := range servers {
		if s.Name() == leader {
			s.Shutdown()
			s.WaitForShutdown()
		}
	}
	for i := range 50 { // while there is no leader, a publish fails and its outbox row stays
		require.Eventually(t, func() bool { return tryPublish(c, chargeSubject, fmt.Sprint("after", i)) == nil }, patience, 50*time.Millisecond)
	}
	msgs, got := subscribe(t, c, charge), tally{}
	for got.len() < 110 {
		m := next(t, msgs)
		got.add(m.UUID)
		m.Ack()
	}
}

// copies counts those that are up to date.
func copies(info *jetstream.ClusterInfo) (n int) {
	if info == nil || info.Leader == "" {
		return 0
	}
	for _, peer := range info.Replicas {
		if peer.Current {
			n++
		}
	}
	return n + 1
}
