package generator

import "slices"

// Mixed are the options of the files of one export that holds every version of the
// format: one for each template, the oldest first, and one with chosen columns in an order
// of their own. Together they have opts.Rows rows, of the same players, and of different
// transactions. What differs between versions differs between the files: columns,
// booleans, arrays, how JSON is quoted; that of template 4 has semicolons.
//
// What opts say of Version, Columns and Delimiter does not count. Every file but that of
// template 3, which has no updated_at and no price before refunds, tells all that a row
// of the newest template tells of a purchase.
func Mixed(opts Options) []Options {
	n := int64(NewestVersion - OldestVersion + 2)
	opts.Columns, opts.Delimiter = nil, 0
	if opts.Players == 0 {
		opts.Players = max(1, opts.Rows/8)
	}
	var out []Options
	for i := range n {
		file := opts
		file.Seed += uint64(i)
		file.Rows = opts.Rows*(i+1)/n - opts.Rows*i/n
		switch file.Version = OldestVersion + int(i); file.Version {
		case 4:
			file.Delimiter = ';'
		case NewestVersion + 1:
			file.Version, file.Columns = NewestVersion, slices.Clone(chosenColumns)
		}
		out = append(out, file)
	}
	return out
}

// chosenColumns are a feed's of somebody who wants to know of purchases alone.
var chosenColumns = []string{
	"updated_at", "store", "store_transaction_id", "original_store_transaction_id", "renewal_number", "is_sandbox", "ownership_type",
	"rc_last_seen_app_user_id_alias", "rc_original_app_user_id", "product_identifier", "start_time", "end_time", "grace_period_end_time",
	"effective_end_time", "is_auto_renewable", "is_trial_period", "is_in_intro_offer_period", "refunded_at", "unsubscribe_detected_at",
	"billing_issues_detected_at", "purchased_currency", "price_in_purchased_currency", "purchase_price_in_purchased_currency",
	"price_in_usd", "purchase_price_in_usd",
}
