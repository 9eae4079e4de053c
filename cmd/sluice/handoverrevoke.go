package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/sluice-gems/sluice/economy"
	"github.com/sluice-gems/sluice/internal/handover"
)

// revokeOnce has the spend's endpoint revoke the item before an operator's word that it
// never will be granted is acted upon: a server that is alive after all keeps that word
// then, whatever grant is still under way to it. An endpoint that says that the player
// has the item and keeps it is an error. From one that does not answer it returns what
// the operator's word rests on alone; "": the item is revoked.
func (p *process) revokeOnce(ctx context.Context, spend economy.Spend) (unsure string, err error) {
	name, err := p.endpointOf(ctx, spend)
	if err != nil {
		return "", err
	}
	endpoints, err := handover.NewEndpoints(endpointConfigs(p.config.HandOver, func(c *handover.Config) { c.Log = p.log }))
	if err != nil {
		return "", err
	}
	defer endpoints.Close()
	switch said := endpoints.Revoke(ctx, name, spend, nil); said.Kind {
	case handover.Granted:
		return "", fmt.Errorf("%s: endpoint %s says that the player has the item and keeps it (%s): nothing was settled. Settle it by --granted",
			spend, name, cmp.Or(said.Reason, "it gave no reason"))
	case handover.Revoked:
		return "", nil
	default:
		return fmt.Sprintf("endpoint %s did not revoke the item (%s). That the player does not have it and never will rests on your word alone: "+
			"should that server be alive, a grant on its way to it gives the item for free", name, said.Detail), nil
	}
}

// endpointOf returns the name of the endpoint that hands over a spend's item.
func (p *process) endpointOf(ctx context.Context, spend economy.Spend) (string, error) {
	catalog, err := p.catalogs.Catalog(ctx, spend.CatalogVersion)
	if err != nil {
		return "", err
	}
	how := catalog.Items[spend.Item].HandOver
	if how.Port != economy.HandOverHTTP {
		return "", fmt.Errorf("%s: its item is handed over by port %s, which needs nobody's word", spend, how.Port)
	}
	return how.Endpoint, nil
}
