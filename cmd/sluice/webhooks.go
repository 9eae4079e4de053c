package main

import (
	"context"
	"net/http"
	"os"
	"time"

	"github.com/sluice-gems/sluice/config"
	"github.com/sluice-gems/sluice/internal/purchases"
	"github.com/sluice-gems/sluice/producers/rcwebhook"
)

// webhooks registers the endpoint of RevenueCat's webhooks, unless they are off.
func (p *process) webhooks(ctx context.Context, mux *http.ServeMux) error {
	w := p.config.Webhook
	if !w.Enabled {
		p.log.InfoContext(ctx, "webhooks are off", "variable", "SLUICE_WEBHOOK_ENABLED")
		return nil
	}
	last, err := purchases.NewStore(p.db).LastWebhook(ctx)
	if err != nil {
		return err
	}
	policy := webhookPolicy(p.config)
	intake, err := rcwebhook.New(rcwebhook.Config{
		Committer: p.intake, Proof: p.webhookProof(), Redact: policy.Redact, Last: last, Environments: policy.Environments,
		Now: clock, Log: p.log, Metrics: p.registry,
	})
	if err != nil {
		return err
	}
	intake.Routes(mux)
	return nil
}

// webhookPolicy is what becomes of webhooks, live ones and those of an archive.
func webhookPolicy(cfg config.Config) rcwebhook.Policy {
	w := cfg.Webhook
	return rcwebhook.Policy{Redact: w.Redact, Environments: rcwebhook.Environments{
		Production: w.Environment != config.WebhooksSandbox, Sandbox: w.Environment != config.WebhooksProduction, Testers: cfg.SandboxTesters,
	}}
}

// webhookProof is what must hold of a webhook. What was read from a file is read
// again when the file changes.
func (p *process) webhookProof() rcwebhook.Proof {
	w := p.config.Webhook
	proof := rcwebhook.Proof{Tolerance: w.Tolerance}
	switch {
	case w.AuthorizationFile != "":
		proof.Authorization = config.NewFileHeader("SLUICE_WEBHOOK_AUTHORIZATION", w.AuthorizationFile, w.Authorization, os.ReadFile, time.Now, p.log).Reveal
	case w.Authorization.IsSet():
		proof.Authorization = w.Authorization.Reveal
	}
	switch secrets := config.RevealAll(w.SigningSecrets); {
	case w.SigningSecretsFile != "":
		proof.Secrets = config.NewFileSecrets("SLUICE_WEBHOOK_SIGNING_SECRETS", w.SigningSecretsFile, w.SigningSecrets, os.ReadFile, time.Now, p.log).Reveal
	case len(secrets) > 0:
		proof.Secrets = func() []string { return secrets }
	}
	return proof
}
