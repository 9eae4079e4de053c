// Package gemstore is the playable gem store of `sluice dev`, at /store/: a small
// shop in front and the machine behind it in sight. Who plays buys gem packs (the
// simulated stores charge, RevenueCat's webhook follows), spends the gems through
// the API as any app would, sees every hop of a message light up, and breaks the
// provider, the stream or the game's server while the books are counted.
//
// What it shows is what is written down: a spend's story (internal/books), what
// passes on the stream, the simulator's balances. Nothing on the page moves because
// some time is over. It changes nothing itself but by the calls that everybody has:
// the API, and the controls of the simulator and of the sample game.
//
// It answers this machine only, and browsers only on its own pages: it hands out
// sessions, though only for players that it made up (PlayerPrefix).
package gemstore
