// Package browser opens pages in a real Chromium, for tests. A page that writes an
// error to its console, throws, or asks anybody but the server under test for
// anything fails its test, whatever else it looks at.
//
// A machine without Chromium fails the test and says what to do. No test is skipped.
package browser

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Patience bounds every wait for a page. It is for a machine that is busy with other tests.
const Patience = time.Minute

// names are what Chromium is called.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// Page is one tab of a browser of its own: its cookies and storage are empty. It is
// for one goroutine.
type Page struct {
	t       testing.TB
	ctx     context.Context
	server  string
	allowed func(complaint string) bool

	mu         sync.Mutex
	complaints []string
	asked      []string
}

// Size of a window, in CSS pixels.
type Size struct{ Width, Height int }

// The sizes that pages are looked at.
var (
	Desktop = Size{1280, 900}
	Phone   = Size{390, 844}
)

// Open starts a browser, opens an address on it and waits until it is loaded. server
// begins every address that the page may ask, such as http://127.0.0.1:8080. The
// browser ends with the test, which fails if the page had anything to complain about.
func Open(t testing.TB, server, path string, size Size) *Page {
	t.Helper()
	program := find(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.WindowSize(size.Width, size.Height), chromedp.UserDataDir(t.TempDir()),
		// No name leads anywhere but this machine's own.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("no-pings", true),
		chromedp.WSURLReadTimeout(Patience),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has none for root
	}
	allocated, endBrowser := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, endTab := chromedp.NewContext(allocated)
	p := &Page{t: t, ctx: ctx, server: server}
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // a browser that is gone has ended
		endTab()
		endBrowser()
		p.check()
	})
	chromedp.ListenTarget(ctx, p.note)
	p.Run(log.Enable(), network.Enable(), runtime.Enable(), chromedp.EmulateViewport(int64(size.Width), int64(size.Height)), chromedp.Navigate(server+path))
	return p
}

func find(t testing.TB) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	require.FailNow(t, "Chromium is missing: make chromium")
	return ""
}

// Allow lets complaints pass that a test causes on purpose, such as those that
// contain "503"; the others still fail it.
func (p *Page) Allow(allowed func(complaint string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = allowed
}

// note keeps what the page complains about, and whom it asks.
func (p *Page) note(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.complaints = append(p.complaints, "threw "+e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning || e.Type == runtime.APITypeAssert {
			var said []string
			for _, arg := range e.Args {
				said = append(said, cmp.Or(arg.Description, string(arg.Value)))
			}
			p.complaints = append(p.complaints, fmt.Sprintf("console.%s %s", e.Type, strings.Join(said, " ")))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			p.complaints = append(p.complaints, fmt.Sprintf("%s %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		p.asked = append(p.asked, e.Request.URL)
	case *network.EventWebSocketCreated:
		p.asked = append(p.asked, e.URL)
	}
}

func (p *Page) check() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, complaint := range p.complaints {
		if p.allowed == nil || !p.allowed(complaint) {
			assert.Fail(p.t, "the page complains", complaint)
		}
	}
	for _, address := range p.asked {
		if address != p.server && !strings.HasPrefix(address, p.server+"/") && !strings.HasPrefix(address, "data:") && address != "about:blank" {
			assert.Fail(p.t, "the page asks others", address)
		}
	}
	assert.NotEmpty(p.t, p.asked, "no request was seen: nothing was proved")
}

// Run does actions, each within Patience.
func (p *Page) Run(actions ...chromedp.Action) {
	p.t.Helper()
	if err := chromedp.Run(p.ctx); err != nil { // starts the browser, whose life is not this call's
		require.NoError(p.t, err, "the browser does not start")
	}
	for _, action := range actions {
		ctx, cancel := context.WithTimeout(p.ctx, Patience)
		err := chromedp.Run(ctx, action)
		cancel()
		require.NoError(p.t, err)
	}
}

// Eval returns the value of a JavaScript expression; a promise's, once it is there.
func (p *Page) Eval(expression string, into any) {
	p.t.Helper()
	p.Run(chromedp.Evaluate(expression, into, func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }))
}

// Await returns once a JavaScript expression is true, also on the page that this one
// leads to. The page is asked twenty times a second, and the failure says what it
// showed in the end.
func (p *Page) Await(what, expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	poll := chromedp.Poll(expression, nil, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(Patience))
	err := chromedp.Run(ctx, poll)
	for left(err) {
		err = chromedp.Run(ctx, poll)
	}
	if err != nil {
		var text string
		p.Eval("document.body.innerText", &text)
		require.FailNow(p.t, "not so within "+Patience.String()+": "+what, "%v\nthe page shows:\n%s", err, text)
	}
}

// left reports whether a page went away while it was asked: another comes.
func left(err error) bool {
	var protocol *cdproto.Error
	return errors.As(err, &protocol) && (strings.Contains(protocol.Message, "navigated or closed") || strings.Contains(protocol.Message, "context"))
}

// Click clicks the first element that a CSS selector finds, as a person does, once
// it is visible.
func (p *Page) Click(selector string) {
	p.t.Helper()
	p.Run(chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// Text returns the text of the first element that a selector finds.
func (p *Page) Text(selector string) (text string) {
	p.t.Helper()
	p.Run(chromedp.TextContent(selector, &text, chromedp.ByQuery))
	return text
}

// Picture returns the window as a PNG.
func (p *Page) Picture() (png []byte) {
	p.t.Helper()
	p.Run(chromedp.CaptureScreenshot(&png))
	return png
}
