package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/testenv/browser"
)

// storePage is the gem store in a browser.
type storePage struct {
	*browser.Page
	t testing.TB
}

// openStore opens the store. Answers that the API gives on purpose are no complaint:
// the browser writes every status from 400 on to its console, and every cut line.
func openStore(t testing.TB, s *site, size browser.Size) storePage {
	t.Helper()
	page := browser.Open(t, "http://"+s.apiAddr, "/store/", size)
	page.Allow(func(complaint string) bool {
		return regexp.MustCompile(`^network .* status of (402|500) .*/spend$`).MatchString(complaint)
	})
	return storePage{page, t}
}

// lamps waits until the lamps of the journey in sight say so, first letters of done,
// working, Waiting, Refused, and a dot for dark.
func (p storePage) lamps(journey, lights string) {
	p.t.Helper()
	p.Await(journey+": "+lights, fmt.Sprintf(`document.querySelector("#journey-title").textContent.startsWith(%q) &&
		new RegExp(%q).test([...document.querySelectorAll("#hops li")].map((li) => ({ dark: ".", working: "w", waiting: "W", done: "d", refused: "R" })[li.className]).join(""))`,
		journey, "^"+strings.ReplaceAll(lights, ".", `\.`)+"$"))
}

// wallet waits until the player has this many gems.
func (p storePage) wallet(gems string) {
	p.t.Helper()
	p.Await("the wallet shows "+gems, fmt.Sprintf(`[...document.querySelectorAll("#wallet li")].some((li) => li.textContent === "GEM" + %q)`, gems))
}

// books waits for the sums of the gems, counted after now.
func (p storePage) books(sums string) {
	p.t.Helper()
	p.Await("the books: "+sums, fmt.Sprintf(`[...document.querySelectorAll("#books .sum")].some((p) => p.textContent.startsWith("GEM") &&
		[...p.querySelectorAll(".part b")].map((b) => b.textContent).join(" ") === %q && p.querySelector(".off").textContent === "balances")`, sums))
}

func (p storePage) flip(id string) {
	p.t.Helper()
	p.Click("#" + id)
	p.Await(id+" is on", fmt.Sprintf(`document.getElementById(%q).getAttribute("aria-checked") === "true"`, id))
}

func (p storePage) repair() {
	p.t.Helper()
	p.Click("#repair")
	p.Await("nothing is broken", `document.getElementById("repair").disabled`)
}

func (p storePage) pack(id string)  { p.t.Helper(); p.Click(`[data-pack="` + id + `"]`) }
func (p storePage) spend(id string) { p.t.Helper(); p.Click(`[data-item="` + id + `"]`) }

// TestAStoreToPlayWith: gems are bought and spent in a real browser while the
// provider, its webhooks, the stream and the game's server are broken and repaired. The page shows
// where each spend is, nothing is lost, and the books balance until somebody charges
// behind our back. It takes half a minute: a provider is slow, and a spend is waited for.
func TestAStoreToPlayWith(t *testing.T) {
	t.Parallel()
	s := newSite(t, "SLUICE_CLAIM_WAIT=1s").seed().up()
	p := openStore(t, s, browser.Desktop)
	player := p.Text("#player")
	require.Regexp(t, `^shopper_[a-z0-9]+$`, player)

	p.pack("starter_pack")
	p.lamps("Starter pack", "ddddd")
	p.wallet("250")
	p.pack("quest")
	p.lamps("Quest reward", "dddd")
	p.books("250 250 0 0")

	p.spend("extra_life")
	p.lamps("Extra life", "ddddd")
	p.wallet("200")
	p.Click("#again")
	p.Await("the same key again is a replay", `document.getElementById("app").textContent.includes("a replay: nothing is charged twice")`)
	p.spend("legendary_skin")
	p.lamps("Legendary skin", "ddR..")
	p.Run(chromedp.Focus(`[data-item="cursed_relic"]`, chromedp.ByQuery), chromedp.KeyEvent(kb.Enter)) // by keyboard
	p.lamps("Cursed relic", "dddRd")
	p.books("250 200 50 0")

	p.flip("provider_lost")
	p.spend("extra_life")
	p.lamps("Extra life", "ddW..")
	p.Await("that the answer was lost is said", `document.getElementById("now").textContent.includes("the answer was lost")`)
	p.books("250 150 50 50") // the provider has charged, and nobody has heard it
	p.repair()
	p.lamps("Extra life", "ddddd")
	p.wallet("150")

	p.flip("provider_slow")
	s.control(http.MethodPatch, "/faults", `{"delay":"5s"}`, nil) // slower still: this machine may be busy
	p.spend("extra_life")
	p.lamps("Extra life", "ddw..") // lit while it is there, not afterwards
	p.repair()
	p.lamps("Extra life", "ddddd")
	p.flip("provider_down")
	p.spend("extra_life")
	p.lamps("Extra life", "ddW..")
	p.repair()
	p.lamps("Extra life", "ddddd")
	p.wallet("50")

	p.flip("game_down")
	p.spend("guild_banner")
	p.lamps("Guild banner", "dddW.")
	p.Click("#wipe") // the message of the hand-over is in the stream
	p.Await("the wipe is shown", `document.getElementById("hops").textContent.includes("the outbox still owes it")`)
	p.repair()
	p.lamps("Guild banner", "ddddd")
	p.flip("game_refuses")
	p.spend("guild_banner")
	p.lamps("Guild banner", "dddRd")
	p.repair()
	p.wallet("30")
	p.books("250 30 220 0")

	p.flip("webhook_lost")
	p.pack("gems_100")
	p.lamps("Gems 100", "dRddd") // the app's claim stands in
	p.wallet("130")
	p.repair()
	p.books("350 130 220 0")

	require.Equal(t, "Books balance", p.Text("#verdict"))
	require.Contains(t, p.Text("#counted"), "off 0 times; 1 player.")
	require.Contains(t, p.Text("#bag"), "Extra life × 14", "ten came with the pack")
	require.True(t, s.balance(player).Equal(economy.Amounts{"GEM": 130, "GOLD": 200}), s.balance(player))

	s.chargeBehindOurBack(player, 7)
	p.Await("the counter can be off", `document.getElementById("verdict").textContent === "The books do not balance"`)
	require.Contains(t, p.Text("#books"), "7 off")
}

// chargeBehindOurBack takes gems at the provider, as nobody but Sluice should.
func (s *site) chargeBehindOurBack(player string, gems int) {
	s.t.Helper()
	state, err := readDevState(s.folder)
	require.NoError(s.t, err)
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost,
		"http://"+s.simAddr+"/v2/projects/"+devProject+"/customers/"+player+"/virtual_currencies/transactions",
		strings.NewReader(`{"adjustments":{"GEM":`+strconv.Itoa(-gems)+`}}`))
	require.NoError(s.t, err)
	request.Header.Set("Authorization", "Bearer "+state.RevenueCatKey)
	request.Header.Set("Content-Type", "application/json")
	answer, err := s.client.Do(request)
	require.NoError(s.t, err)
	require.NoError(s.t, answer.Body.Close())
	require.Equal(s.t, http.StatusOK, answer.StatusCode)
}

// TestTheStoreFitsAPhone: nothing is wider than the window, and a tap is seen without
// scrolling. With SLUICE_PICTURES, the name of a folder, it is also where the
// pictures of the documentation are taken (make pictures).
func TestTheStoreFitsAPhone(t *testing.T) {
	t.Parallel()
	s := newSite(t).seed().up()
	phone := openStore(t, s, browser.Phone)
	phone.pack("starter_pack")
	phone.wallet("250")
	phone.spend("extra_life")
	phone.lamps("Extra life", "ddddd")
	var wide bool
	phone.Eval(`document.documentElement.scrollWidth > innerWidth`, &wide)
	require.False(t, wide, "the page is wider than a phone")
	var strip string
	phone.Eval(`(() => { const box = document.getElementById("strip").getBoundingClientRect(); return box.height > 0 && box.bottom <= innerHeight ? document.getElementById("strip").textContent : ""; })()`, &strip)
	require.Contains(t, strip, "Extra life: yours")
	if folder := os.Getenv("SLUICE_PICTURES"); folder != "" {
		takePicture(t, s, folder+"/store.png")
	}
}

// picture is the size of the README's picture: the shop and the whole machine are on it.
var picture = browser.Size{Width: 1280, Height: 1250}

// takePicture shows the store in the middle of trouble.
func takePicture(t testing.TB, s *site, path string) {
	t.Helper()
	p := openStore(t, s, picture)
	p.pack("starter_pack")
	p.wallet("250")
	p.spend("cursed_relic")
	p.lamps("Cursed relic", "dddRd")
	p.spend("guild_banner")
	p.lamps("Guild banner", "ddddd")
	p.flip("provider_lost")
	p.spend("extra_life")
	p.lamps("Extra life", "ddW..")
	p.Await("the answer is said to be lost", `document.getElementById("now").textContent.includes("the answer was lost")`)
	p.Await("the toast is gone", `document.getElementById("toast").hidden`)
	p.Eval(`window.scrollTo(0, 0)`, nil)
	small := fewerColours(t, p.Picture())
	require.Less(t, len(small), 250_000, "too large for a README")
	require.NoError(t, os.WriteFile(path, small, 0o600))
}

// fewerColours writes a picture with the 256 colours that it has most of: what is
// left out is the edges of letters, by a shade.
func fewerColours(t testing.TB, raw []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(raw))
	require.NoError(t, err)
	bounds, times := full.Bounds(), map[color.Color]int{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			times[full.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(times), func(a, b color.Color) int {
		return cmp.Or(cmp.Compare(times[b], times[a]), strings.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	reduced := image.NewPaletted(bounds, colours[:min(len(colours), 256)])
	draw.Draw(reduced, bounds, full, bounds.Min, draw.Src)
	var out bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, reduced))
	return out.Bytes()
}
