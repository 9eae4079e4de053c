package outbox_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/postgres"
	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

// A commit whose answer is lost is known as ours when it is tried again: the
// proxy lets the statement through, waits until it is committed and cuts the line.
func TestCommitWhoseAnswerIsLostIsKnownAsOurs(t *testing.T) {
	t.Parallel()
	direct := testenv.Postgres(t)
	proxy := newProxy(t, testenv.PostgresURL(t))
	c := committer(t, proxy.db(t), oneAtATime)
	spend := accepted(t, c, 1)[0]

	proxy.loseNextAnswer(func() bool { return count(t, direct, "SELECT count(*) FROM spends WHERE app_user_id = 'lost'") == 1 })
	result, err := c.Commit(t.Context(), accept(newSpend("lost", "k")))
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result, "an insert guard")
	require.True(t, proxy.lost.Load(), "the proxy never lost an answer: the test tested nothing")

	proxy.loseNextAnswer(func() bool { return count(t, direct, "SELECT count(*) FROM spends WHERE state = 'declined'") == 1 })
	result, err = c.Commit(t.Context(), declineMove(spend))
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result, "a state guard")
	require.True(t, proxy.lost.Load())
	require.Equal(t, 2, count(t, direct, "SELECT count(*) FROM outbox"))
}

func TestServerDownFailsTheWholeBatchInTimeAndRecovers(t *testing.T) {
	t.Parallel()
	server := testenv.DurablePostgres(t)
	c := committer(t, server.DB(), func(config *outbox.CommitterConfig) { config.Patience = 300 * time.Millisecond })
	accepted(t, c, 1)
	server.Kill()
	for _, v := range commitAll(t, c, []outbox.Effects{accept(newSpend("a", "k")), accept(newSpend("b", "k"))})() {
		require.ErrorIs(t, v.err, outbox.ErrUnavailable)
	}
	server.Start()
	result, err := c.Commit(t.Context(), accept(newSpend("c", "k")))
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result)
	require.Equal(t, 1, count(t, server.DB(), "SELECT count(*) FROM spends WHERE app_user_id = 'p0'"), "what was accepted before the crash")
}

func TestCommitRidesOverARestartWithinItsPatience(t *testing.T) {
	t.Parallel()
	server := testenv.DurablePostgres(t)
	c := committer(t, server.DB(), func(config *outbox.CommitterConfig) { config.Patience = time.Minute })
	accepted(t, c, 1)
	server.Kill()
	wait := commitAll(t, c, []outbox.Effects{accept(newSpend("a", "k")), accept(newSpend("b", "k"))})
	server.Start()
	for _, v := range wait() {
		require.Equal(t, verdict{result: outbox.Applied}, v)
	}
	require.Equal(t, 3, count(t, server.DB(), "SELECT count(*) FROM spends"))
}

func TestCommitOfACancelledCallerIsNotLost(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, oneAtATime)
	release := blocked(t, db, c)
	ctx, cancel := context.WithCancel(t.Context())
	effects := accept(newSpend("a", "k"))
	effects.ID = outbox.NewID()
	gone := make(chan error, 1)
	go func() { _, err := c.Commit(ctx, effects); gone <- err }()
	require.Eventually(t, func() bool { return c.Depth() == 1 }, 5*time.Second, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-gone, context.Canceled)
	release()
	result, err := c.Commit(t.Context(), effects) // the same effects again tell what became of them
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result)
	require.Equal(t, 1, count(t, db, "SELECT count(*) FROM spends WHERE app_user_id = 'a'"))
}

// proxy stands between a committer and PostgreSQL's socket.
type proxy struct {
	listener net.Listener
	target   string // PostgreSQL's socket
	url      string
	lose     atomic.Pointer[func() bool]
	lost     atomic.Bool
}

func newProxy(t *testing.T, databaseURL string) *proxy {
	t.Helper()
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	query := u.Query()
	folder := query.Get("host")
	require.NotEmpty(t, folder, "the test's PostgreSQL listens on a socket")
	port := query.Get("port")
	if port == "" {
		port = "5432"
	}
	name := ".s.PGSQL." + port
	own := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(own, name))
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	query.Set("host", own)
	u.RawQuery = query.Encode()
	p := &proxy{listener: listener, target: filepath.Join(folder, name), url: u.String()}
	go p.serve()
	return p
}

func (p *proxy) db(t *testing.T) *sqlx.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Config{URL: p.url})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// loseNextAnswer has the next answer cut off once committed reports that the
// statement took effect.
func (p *proxy) loseNextAnswer(committed func() bool) {
	p.lost.Store(false)
	p.lose.Store(&committed)
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
		go p.answers(client, server)
	}
}

func (p *proxy) answers(client, server net.Conn) {
	defer func() { _ = client.Close(); _ = server.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		if committed := p.lose.Load(); committed != nil && (*committed)() {
			p.lose.Store(nil)
			p.lost.Store(true)
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// A password that was changed, or a table that is not there, is nobody's data:
// the whole batch fails, and may succeed later.
func TestWrongPasswordOrMissingTableIsNobodysData(t *testing.T) {
	t.Parallel()
	db := testenv.Postgres(t)
	c := committer(t, db, func(config *outbox.CommitterConfig) { config.Patience = 50 * time.Millisecond })
	_, err := db.Exec("ALTER TABLE outbox RENAME TO outbox_gone")
	require.NoError(t, err)
	for _, v := range commitAll(t, c, []outbox.Effects{accept(newSpend("a", "k")), accept(newSpend("b", "k"))})() {
		require.ErrorIs(t, v.err, outbox.ErrUnavailable)
		var data *outbox.DataError
		require.NotErrorAs(t, v.err, &data)
	}
	_, err = db.Exec("ALTER TABLE outbox_gone RENAME TO outbox")
	require.NoError(t, err)
	result, err := c.Commit(t.Context(), accept(newSpend("a", "k")))
	require.NoError(t, err)
	require.Equal(t, outbox.Applied, result)
}
