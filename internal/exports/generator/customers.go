package generator

import (
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// customer is a row of a customer list.
type customer struct {
	id                string
	seen, bought, end time.Time
	product, store    string
	products          []string
}

// WriteCustomers writes a customer list: semicolons, times in milliseconds.
func WriteCustomers(w io.Writer, opts Options) (Summary, error) {
	opts, err := opts.withDefaults(';')
	if err != nil {
		return Summary{}, err
	}
	random := rand.New(rand.NewPCG(opts.Seed, 5))
	var s Summary
	err = writeRows(w, opts, customerColumns(), func(yield func(customer) bool) {
		for ; s.Rows < opts.Rows; s.Rows++ {
			row := customer{id: Player(s.Rows), seen: opts.Until.Add(-time.Duration(1+random.IntN(1000)) * time.Hour)}
			if s.Rows%5 == 0 {
				row.id = "$RCAnonymousID:" + hexadecimal(uint64(s.Rows), opts.Seed)
			}
			if random.IntN(2) == 0 {
				row.store, row.product = "app_store", opts.Subscriptions[0]
				row.products = append(row.products, opts.OneTime[random.IntN(len(opts.OneTime))], row.product)
				row.bought = row.seen.Add(-time.Hour)
				row.end = row.bought.Add(month)
			}
			if !yield(row) {
				return
			}
		}
	})
	s.Players = s.Rows
	return s, err
}

// millis is a time as customer lists have it.
func millis(t time.Time) cell { return cell{n: t.UnixMilli(), null: t.IsZero()} }

// customerColumns are those of a list (RevenueCat docs, Customer Lists), in its order.
func customerColumns() []column[customer] {
	known := map[string]column[customer]{
		"project_id":                {kind: text, cell: func(*customer) cell { return cell{s: "proj1ab2c3d4"} }},
		"project_name":              {kind: text, cell: func(*customer) cell { return cell{s: "Gems; the game"} }},
		"app_user_id":               {kind: text, cell: func(c *customer) cell { return cell{s: c.id} }},
		"first_seen_at":             {kind: integer, cell: func(c *customer) cell { return millis(c.seen.Add(-month)) }},
		"last_seen_at":              {kind: integer, cell: func(c *customer) cell { return millis(c.seen) }},
		"has_made_sandbox_purchase": {kind: boolean, cell: func(*customer) cell { return cell{} }},
		"latest_product":            {kind: text, cell: func(c *customer) cell { return cell{s: c.product, null: c.product == ""} }},
		"first_purchase_at":         {kind: integer, cell: func(c *customer) cell { return millis(c.bought) }},
		"most_recent_purchase_at":   {kind: integer, cell: func(c *customer) cell { return millis(c.bought) }},
		"latest_expiration_at":      {kind: integer, cell: func(c *customer) cell { return millis(c.end) }},
		"total_spent":               {kind: decimal, cell: func(*customer) cell { return cell{n: 9_990_000} }},
		"latest_store":              {kind: text, cell: func(c *customer) cell { return cell{s: c.store, null: c.store == ""} }},
		"all_purchased_product_ids": {kind: text, cell: func(c *customer) cell {
			return cell{s: strings.Join(c.products, ","), null: len(c.products) == 0}
		}},
		"custom_attributes": {kind: object, cell: func(c *customer) cell {
			return cell{s: `{"level": "` + strconv.Itoa(len(c.id)) + `; high"}`}
		}},
	}
	var out []column[customer]
	for _, name := range customerNames {
		c, ok := known[name]
		if c.name = name; !ok {
			c.cell = func(*customer) cell { return cell{null: true} }
		}
		out = append(out, c)
	}
	return out
}

var customerNames = strings.Fields(`
	project_id project_name app_name app_id app_user_id first_seen_at last_seen_at last_seen_app_version last_seen_ip_country
	last_seen_platform last_seen_platform_version last_seen_sdk_version last_seen_locale price_experiment_id price_experiment_variant
	has_made_sandbox_purchase latest_entitlement latest_product is_rc_promo first_purchase_at most_recent_purchase_at trial_start_at
	trial_end_at most_recent_renewal_at latest_expiration_at subscription_opt_out_at trial_opt_out_at total_renewals total_spent
	latest_store latest_store_country latest_auto_renew_intent all_purchased_product_ids most_recent_billing_issues_at latest_offer
	latest_offer_type latest_purchased_offering latest_ownership_type email phone_number media_source campaign ad_group ad keyword
	creative idfa idfv gps_ad_id custom_attributes currency`)
