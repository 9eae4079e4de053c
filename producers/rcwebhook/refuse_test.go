package rcwebhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/internal/testenv"
	"github.com/sluice-gems/sluice/outbox"
)

func TestWhatIsNotAuthenticIs401WithoutDetailAndLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := event("e", "RENEWAL", purchase)
	good := sign(body, start, secret)
	value := strings.TrimPrefix(good, fmt.Sprintf("t=%d,v1=", start.Unix()))
	seconds := fmt.Sprint(start.Unix())
	var answers []string
	for _, test := range []struct {
		name   string
		change func(http.Header)
		reason refusal
	}{
		{"no authorization", func(h http.Header) { h.Del("Authorization") }, badAuthorization},
		{"another authorization", func(h http.Header) { h.Set("Authorization", authorization+"x") }, badAuthorization},
		{"two authorizations", func(h http.Header) { h.Add("Authorization", authorization) }, badAuthorization},
		{"unsigned", func(h http.Header) { h.Del(signatureHeader) }, missingSignature},
		{"the wrong header", func(h http.Header) { h.Del(signatureHeader); h.Set("X-RevenueCat-Signature", good) }, missingSignature},
		{"signed twice", func(h http.Header) { h.Add(signatureHeader, good) }, malformedSignature},
		{"another secret", func(h http.Header) { h.Set(signatureHeader, sign(body, start, "else", "")) }, badSignature},
		{"another body", func(h http.Header) { h.Set(signatureHeader, sign(body[1:], start, secret)) }, badSignature},
		{"another time", func(h http.Header) { h.Set(signatureHeader, "t="+fmt.Sprint(start.Unix()-1)+",v1="+value) }, badSignature},
		{"stale", func(h http.Header) { h.Set(signatureHeader, sign(body, start.Add(-301*time.Second), secret)) }, staleSignature},
		{"from the future", func(h http.Header) { h.Set(signatureHeader, sign(body, start.Add(301*time.Second), secret)) }, futureSignature},
		{"a time beyond all", func(h http.Header) { h.Set(signatureHeader, "t=99999999999999999999,v1="+value) }, malformedSignature},
		{"a time below 0", func(h http.Header) { h.Set(signatureHeader, "t=-"+seconds+",v1="+value) }, malformedSignature},
		{"a time with a sign", func(h http.Header) { h.Set(signatureHeader, "t=+"+seconds+",v1="+value) }, malformedSignature},
		{"no time", func(h http.Header) { h.Set(signatureHeader, "v1="+value) }, malformedSignature},
		{"two times", func(h http.Header) { h.Set(signatureHeader, "t=1,"+good) }, malformedSignature},
		{"no signature", func(h http.Header) { h.Set(signatureHeader, "t="+seconds) }, malformedSignature},
		{"another version", func(h http.Header) { h.Set(signatureHeader, "t="+seconds+",v2="+value) }, malformedSignature},
		{"half a signature", func(h http.Header) { h.Set(signatureHeader, "t="+seconds+",v1="+value[:32]) }, malformedSignature},
		{"not hex", func(h http.Header) { h.Set(signatureHeader, "t="+seconds+",v1="+strings.Repeat("zz", 32)) }, malformedSignature},
		{"a part without a value", func(h http.Header) { h.Set(signatureHeader, good+",x") }, malformedSignature},
		{"too many signatures", func(h http.Header) { h.Set(signatureHeader, good+strings.Repeat(",v1="+value, signaturesMax)) }, malformedSignature},
		{"empty", func(h http.Header) { h.Set(signatureHeader, "") }, malformedSignature},
	} {
		r := webhook(body)
		test.change(r.Header)
		reason := asRefusal(b.proof.header(r.Header))
		if reason == "" {
			reason = asRefusal(b.proof.body(r.Header, body, start))
		}
		require.Equal(t, test.reason, reason, test.name)
		w := b.do(t, r)
		require.Equal(t, http.StatusUnauthorized, w.Code, test.name)
		answers = append(answers, w.Body.String())
		require.Equal(t, answers[0], w.Body.String(), "the answer tells what was wrong")
	}
	b.requireKept(t, 0, 0)
}

func TestASignatureWithinTheToleranceByAnyLiveSecretIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, header := range []func([]byte) string{
		func(body []byte) string { return sign(body, start.Add(-300*time.Second), secret) },
		func(body []byte) string { return sign(body, start.Add(300*time.Second), oldSecret) },
		func(body []byte) string { return sign(body, start, "else", secret) },
		func(body []byte) string {
			return "x=y, " + strings.ReplaceAll(sign(body, start, oldSecret), ",", " , ")
		},
	} {
		body := event(fmt.Sprint(i), "RENEWAL", purchase)
		r := webhook(body)
		r.Header.Set(signatureHeader, header(body))
		require.Equal(t, http.StatusOK, b.do(t, r).Code, i)
	}
	b.requireKept(t, 4, 4)
}

// During a rotation both secrets are live, afterwards the new one alone: no restart.
func TestSecretsRotateWithoutARestart(t *testing.T) {
	t.Parallel()
	live := []string{"one"}
	b := setup(t, func(c *Config) {
		c.Proof.Authorization, c.Proof.Secrets = nil, func() []string { return live }
	})
	sent := 0
	send := func(by string) int {
		sent++
		body := event(fmt.Sprint(sent), "RENEWAL", purchase)
		r := webhook(body)
		r.Header.Del("Authorization")
		r.Header.Set(signatureHeader, sign(body, start, by))
		return b.do(t, r).Code
	}
	for _, step := range []struct {
		live     []string
		one, two int
	}{{[]string{"one"}, 200, 401}, {[]string{"two", "one"}, 200, 200}, {[]string{"two"}, 401, 200}, {nil, 401, 401}, {[]string{""}, 401, 401}} {
		live = step.live
		require.Equal(t, []int{step.one, step.two}, []int{send("one"), send("two")}, live)
	}
	empty := Proof{Authorization: func() string { return "" }}
	require.Error(t, empty.header(http.Header{"Authorization": {""}}), "an empty value proves nothing")
}

func TestAnIntakeThatAnybodyCouldSendToIsRefused(t *testing.T) {
	t.Parallel()
	_, err := New(Config{})
	require.ErrorContains(t, err, "Committer is missing")
	require.ErrorContains(t, err, "anybody could send")
	_, err = New(Config{Committer: commitFunc(nil), Proof: Proof{Secrets: func() []string { return nil }}})
	require.ErrorContains(t, err, "Tolerance")
}

func TestABodyThatIsTooLargeOrBreaksOffIsRefusedBeforeItIsRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	large := event("e", "RENEWAL", purchase+`,"x":"`+strings.Repeat("x", 3<<20)+`"`)
	declared := webhook(large)
	undeclared := webhook(large)
	undeclared.ContentLength = -1
	for _, r := range []*http.Request{declared, undeclared} {
		w := b.do(t, r)
		require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
		require.Contains(t, w.Body.String(), "1048576")
	}
	broken := webhook(large[:100])
	broken.Body = io.NopCloser(io.MultiReader(bytes.NewReader(large[:100]), brokenReader{}))
	require.Equal(t, http.StatusBadRequest, b.do(t, broken).Code)
	exact := event("e", "RENEWAL", purchase+`,"x":""`)
	exact = bytes.Replace(exact, []byte(`"x":""`), []byte(`"x":"`+strings.Repeat("x", 1<<20-len(exact))+`"`), 1)
	require.Len(t, exact, 1<<20)
	b.requireKept(t, 0, 0)
	require.Equal(t, http.StatusOK, b.do(t, webhook(exact)).Code)
	require.Equal(t, http.StatusMethodNotAllowed, b.do(t, httptest.NewRequest(http.MethodGet, Path, nil)).Code)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, net.ErrClosed }

// RevenueCat sends again what was not 200, and that is taken once.
func TestWithoutTheDatabaseItIs503AndTheNextAttemptIsTaken(t *testing.T) {
	t.Parallel()
	server := testenv.DurablePostgres(t)
	b := setupOn(t, server.DB(), newCommitter(t, server.DB(), 300*time.Millisecond))
	body := event("e", "RENEWAL", purchase)
	server.Stop()
	w := b.do(t, webhook(body))
	require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	server.Start()
	for range 2 {
		require.Equal(t, http.StatusOK, b.do(t, webhook(body)).Code)
	}
	b.requireKept(t, 1, 1)
}

func TestWhatACommitSaysIsToldToTheSender(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err    error
		result outbox.Result
		code   int
	}{
		{nil, outbox.Applied, http.StatusOK}, {nil, outbox.Duplicate, http.StatusOK}, {nil, outbox.Stale, http.StatusInternalServerError},
		{outbox.ErrOverloaded, 0, http.StatusServiceUnavailable}, {outbox.ErrClosed, 0, http.StatusServiceUnavailable},
		{fmt.Errorf("%w: %w", outbox.ErrUnavailable, errors.New("x")), 0, http.StatusServiceUnavailable},
		{errors.New("no consumer is declared"), 0, http.StatusInternalServerError},
	} {
		b := setupOn(t, nil, commitFunc(func(context.Context, outbox.Effects) (outbox.Result, error) { return test.result, test.err }))
		require.Equal(t, test.code, b.do(t, webhook(event("e", "RENEWAL", purchase))).Code, test.err)
	}
	tries := 0 // what cannot be stored as an event is kept as a body
	b := setupOn(t, nil, commitFunc(func(_ context.Context, e outbox.Effects) (outbox.Result, error) {
		if tries++; len(e.Events) > 0 {
			return 0, fmt.Errorf("effects: %w", &outbox.DataError{Err: errors.New("22P05")})
		}
		return outbox.Applied, nil
	}))
	require.Equal(t, http.StatusBadRequest, b.do(t, webhook(event("e", "RENEWAL", purchase))).Code)
	require.Equal(t, 2, tries)
}

// Whoever hung up, or took so long that our patience ended, may still read: what
// was not kept is never 200.
func TestWhatWasNotKeptIsNever200(t *testing.T) {
	t.Parallel()
	b := setupOn(t, nil, commitFunc(func(ctx context.Context, _ outbox.Effects) (outbox.Result, error) { return 0, ctx.Err() }))
	hungUp, hangUp := context.WithCancel(t.Context())
	hangUp()
	late, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	for _, ctx := range []context.Context{hungUp, late} {
		require.Equal(t, http.StatusServiceUnavailable, b.do(t, webhook(event("e", "RENEWAL", purchase)).WithContext(ctx)).Code)
		broken := webhook(event("e", "RENEWAL", purchase)).WithContext(ctx)
		broken.Body = io.NopCloser(brokenReader{})
		require.Equal(t, http.StatusBadRequest, b.do(t, broken).Code)
	}
}

// A burst of webhooks fills half a batch of the committer's queue and no more, so
// that a spend which comes in the middle of it is in the next commit.
func TestABurstLeavesRoomForSpends(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	inCommit, most := 0, 0
	release := make(chan struct{})
	b := setupOn(t, nil, commitFunc(func(_ context.Context, e outbox.Effects) (outbox.Result, error) {
		mu.Lock()
		inCommit++
		most = max(most, inCommit)
		mu.Unlock()
		<-release
		mu.Lock()
		inCommit--
		mu.Unlock()
		if !e.Intake {
			return outbox.Stale, nil
		}
		return outbox.Applied, nil
	}))
	var all sync.WaitGroup
	codes := make(chan int, InHandMax)
	for i := range InHandMax {
		all.Go(func() { codes <- b.do(t, webhook(event(fmt.Sprint(i), "RENEWAL", purchase))).Code })
	}
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(b.hand) == InHandMax && inCommit == InCommitMax
	}, 20*time.Second, time.Millisecond)
	w := b.do(t, webhook(event("one more", "RENEWAL", purchase)))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	close(release)
	all.Wait()
	close(codes)
	for code := range codes {
		require.Equal(t, http.StatusOK, code)
	}
	require.Equal(t, InCommitMax, most)
	require.LessOrEqual(t, InCommitMax, outbox.BatchMaxDefault/2)
}

// The same event many times at once is one row.
func TestOneEventManyTimesAtOnceIsKeptOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if w := b.do(t, webhook(event("e", "RENEWAL", purchase))); w.Code != http.StatusOK {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	all.Wait()
	b.requireKept(t, 1, 1)
}
