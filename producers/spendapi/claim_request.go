package spendapi

import (
	"net/http"
	"strings"

	"github.com/sluice-gems/sluice/economy"
)

// claimExample is what a refused body is told to look like.
const claimExample = `{"store":"app_store","transaction_id":"2000000123456789","product_id":"gems_100"}`

// readClaim reads the body of POST /purchases/claims.
func readClaim(w http.ResponseWriter, r *http.Request) (economy.Claim, *problem) {
	body := takeBuffer()
	defer body.give()
	var p *problem
	if body.b, p = readBody(w, r, body.b, bodyMax); p != nil {
		return economy.Claim{}, p
	}
	raw, p := object(body.b, claimExample)
	if p != nil {
		return economy.Claim{}, p
	}
	var store, transaction, product string
	var hasStore, hasTransaction, hasProduct bool
	eachMember(raw, func(name string, value []byte) bool {
		switch name {
		case "store":
			store, p = oneString(name, value, MalformedRequest, &hasStore)
		case "transaction_id":
			transaction, p = oneString(name, value, MalformedRequest, &hasTransaction)
		case "product_id":
			product, p = oneString(name, value, MalformedRequest, &hasProduct)
		}
		return p == nil
	})
	if p != nil {
		return economy.Claim{}, p
	}
	claim := economy.Claim{Store: economy.NormalStore(store), TransactionID: strings.TrimSpace(transaction), ProductID: strings.TrimSpace(product)}
	if err := claim.Validate(); err != nil {
		return claim, problemf(MalformedRequest, "%s. Send %s.", strings.ReplaceAll(err.Error(), "\n", "; "), claimExample)
	}
	return claim, nil
}
