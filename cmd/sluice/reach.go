package main

import (
	"errors"
	"fmt"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/broker"
	"github.com/sluice-gems/sluice/internal/postgres"
)

// databaseError says what to do when nobody answers where PostgreSQL should be. Any
// other error stays as it is.
func databaseError(cfg config.Config, err error) error {
	if postgres.Classify(err) != postgres.Unavailable || postgres.Code(err) != "" {
		return err
	}
	state, _ := readDevState(cfg.DataDir)
	return unreachable("PostgreSQL", "SLUICE_DATABASE_URL", cfg.Database.URL, state.DatabaseURL, err)
}

// brokerError does the same for NATS; nil when it is connected.
func brokerError(cfg config.Config, conn *broker.Conn) error {
	if conn.Connected() {
		return nil
	}
	state, _ := readDevState(cfg.DataDir)
	return unreachable("NATS", "SLUICE_NATS_URL", cfg.NATS.URL, state.NATSURL, errors.New("nats: "+conn.Status()))
}

// unreachable tells apart the server of a `sluice dev`, whose address is kept when it
// ends, and one that the settings name.
func unreachable(what, setting string, address config.URL, ofDev string, err error) error {
	advice := fmt.Sprintf("is it running there, and is %s right?", setting)
	if address.Reveal() == ofDev {
		advice = fmt.Sprintf("is `make run` (sluice dev) running? Otherwise name the folder of another in SLUICE_DATA_DIR, or set %s", setting)
	}
	return fmt.Errorf("cannot reach %s at %s: %s (%w)", what, address, advice, err)
}
