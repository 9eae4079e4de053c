// Package sluice is the hard-currency backend of a game or app that sells gems
// through RevenueCat: it takes spends and store webhooks at game speed, makes them
// durable in PostgreSQL, carries them over NATS JetStream, and sees every charge
// through to the item or the refund.
//
// The program is cmd/sluice. This package holds no code, only the test that keeps
// the layout: which package may import which.
package sluice
