package console_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/console"
)

func TestNumbersAreExact(t *testing.T) {
	t.Parallel()
	for in, want := range map[any]string{
		0: "0", 999: "999", 1000: "1,000", int64(-1234567): "\u22121,234,567", int64(9223372036854775807): "9,223,372,036,854,775,807",
		uint64(18446744073709551615): "18,446,744,073,709,551,615", economy.Amount(2_000_000_000): "2,000,000,000", "n/a": "n/a",
	} {
		require.Equal(t, want, console.Number(in))
	}
	for in, want := range map[economy.Price]string{
		{Currency: "EUR", Micros: 4_990_000}: "4.99 EUR", {Currency: "JPY", Micros: 120_000_000}: "120.00 JPY", {Currency: "KWD", Micros: 1_234_567}: "1.234567 KWD",
		{Currency: "USD", Micros: -990_000}: "\u22120.99 USD", {}: "",
	} {
		require.Equal(t, want, console.Money(in))
	}
}

func TestEMailsAreHiddenAndNothingElse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ask jane@example.com now":                 "ask (e-mail hidden) now",
		`{"a":"j.doe+x@mail.example.co.uk"}`:       `{"a":"(e-mail hidden)"}`,
		"j%40example.com":                          "(e-mail hidden)",
		`"j\u0040example.com"`:                     `"(e-mail hidden)"`,
		"jörg@exämple.at":                          "(e-mail hidden)",
		"player_1 $RCAnonymousID:87c6 01a2-b3 a@b": "player_1 $RCAnonymousID:87c6 01a2-b3 a@b",
		"sword @ 50 GEM":                           "sword @ 50 GEM",
	} {
		require.Equal(t, want, console.Mask(in))
	}
}

func TestAttributesOfASubscriberAreHidden(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"event":{"id":"1","n":12345678901234567890,"subscriber_attributes":{"$email":{"value":"x"},"hobby":{"value":"y"}}}}`: `{"event":{"id":"1","n":12345678901234567890,"subscriber_attributes":{"$email":"(hidden)","hobby":"(hidden)"}}}`,
		`{"subscriber_attributes":{"a":1}}`:         `{"subscriber_attributes":{"a":"(hidden)"}}`,
		`{"event":null}`:                            `{"event":null}`,
		`{"event":{"subscriber_attributes":"odd"}}`: `{"event":{"subscriber_attributes":"odd"}}`,
		`no json`: `no json`,
	} {
		require.Equal(t, want, string(console.WithoutAttributes([]byte(in))))
	}
}
