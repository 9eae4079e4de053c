package generator

import (
	"slices"
	"time"
)

type txColumn = column[transaction]

// transactionColumns are the columns of a template (RevenueCat docs, Data Export
// Versions 3 to 7), in the order of its page.
func transactionColumns(version int) []txColumn {
	out := slices.Clone(template7)
	without := func(names ...string) {
		out = slices.DeleteFunc(out, func(c txColumn) bool { return slices.Contains(names, c.name) })
	}
	if version < 7 {
		at := slices.IndexFunc(out, func(c txColumn) bool { return c.name == "updated_at" })
		out = slices.Insert(out, at,
			txColumn{"experiment_id", text, none},
			txColumn{"experiment_variant", text, none},
		)
		without("enrolled_experiments_by_layer")
	}
	if version < 5 {
		without("offer", "offer_type", "first_seen_time", "auto_resume_time")
	}
	if version < 4 {
		without("country_source", "product_display_name", "product_duration", "purchase_price_in_usd",
			"purchase_price_in_purchased_currency", "experiment_id", "experiment_variant", "updated_at")
	}
	return out
}

func none(*transaction) cell { return cell{null: true} }

func word(get func(*transaction) string) func(*transaction) cell {
	return func(t *transaction) cell {
		s := get(t)
		return cell{s: s, null: s == ""}
	}
}

func fixed(s string) func(*transaction) cell {
	return func(*transaction) cell { return cell{s: s} }
}

func share(micros int64) func(*transaction) cell {
	return func(*transaction) cell { return cell{n: micros} }
}

func moment(get func(*transaction) time.Time) func(*transaction) cell {
	return func(t *transaction) cell {
		at := get(t)
		return cell{n: at.Unix(), null: at.IsZero()}
	}
}

func flag(get func(*transaction) bool) func(*transaction) cell {
	return func(t *transaction) cell { return cell{flag: get(t)} }
}

// dollars is an amount in dollars, to the cent.
func dollars(micros, rate int64) int64 { return micros * rate / 1000 / 10_000 * 10_000 }

var template7 = []txColumn{
	{"rc_original_app_user_id", text, word(func(t *transaction) string { return t.original })},
	{"rc_last_seen_app_user_id_alias", text, word(func(t *transaction) string { return t.last })},
	{"country", text, word(func(t *transaction) string { return t.country })},
	{"country_source", text, fixed("from_sdk")},
	{"product_identifier", text, word(func(t *transaction) string { return t.product })},
	{"product_display_name", text, word(func(t *transaction) string { return t.display })},
	{"product_duration", text, word(func(t *transaction) string { return t.length })},
	{"start_time", timestamp, moment(func(t *transaction) time.Time { return t.start })},
	{"end_time", timestamp, moment(func(t *transaction) time.Time { return t.end })},
	{"grace_period_end_time", timestamp, moment(func(t *transaction) time.Time { return t.grace })},
	{"effective_end_time", timestamp, moment(func(t *transaction) time.Time { return t.effective })},
	{"store", text, word(func(t *transaction) string { return t.store })},
	{"is_auto_renewable", boolean, flag(func(t *transaction) bool { return t.renewable })},
	{"is_trial_period", boolean, flag(func(t *transaction) bool { return t.trial })},
	{"is_in_intro_offer_period", boolean, flag(func(t *transaction) bool { return t.intro })},
	{"is_sandbox", boolean, flag(func(t *transaction) bool { return t.sandbox })},
	{"price_in_usd", decimal, func(t *transaction) cell { return cell{n: dollars(t.net, t.rate)} }},
	{"purchase_price_in_usd", decimal, func(t *transaction) cell { return cell{n: dollars(t.gross, t.rate)} }},
	{"takehome_percentage", decimal, share(700_000)},
	{"tax_percentage", decimal, share(144_200)},
	{"commission_percentage", decimal, share(150_000)},
	{"store_transaction_id", text, word(func(t *transaction) string { return t.id })},
	{"original_store_transaction_id", text, word(func(t *transaction) string { return t.first })},
	{"refunded_at", timestamp, moment(func(t *transaction) time.Time { return t.refunded })},
	{"unsubscribe_detected_at", timestamp, moment(func(t *transaction) time.Time { return t.unsubscribed })},
	{"billing_issues_detected_at", timestamp, moment(func(t *transaction) time.Time { return t.billing })},
	{"purchased_currency", text, word(func(t *transaction) string { return t.currency })},
	{"price_in_purchased_currency", decimal, func(t *transaction) cell { return cell{n: t.net} }},
	{"purchase_price_in_purchased_currency", decimal, func(t *transaction) cell { return cell{n: t.gross} }},
	{"entitlement_identifiers", list, word(func(t *transaction) string { return t.entitlements })},
	{"renewal_number", integer, func(t *transaction) cell { return cell{n: t.renewal} }},
	{"is_trial_conversion", boolean, flag(func(t *transaction) bool { return t.conversion })},
	{"presented_offering", text, fixed("Default Offering")},
	{"ownership_type", text, word(func(t *transaction) string {
		if t.family {
			return "FAMILY_SHARED"
		}
		return "PURCHASED"
	})},
	{"reserved_subscriber_attributes", object, func(t *transaction) cell { return cell{s: t.attributes, null: t.attributes == ""} }},
	{"custom_subscriber_attributes", object, none},
	{"platform", text, word(func(t *transaction) string { return t.platform })},
	{"updated_at", timestamp, moment(func(t *transaction) time.Time { return t.updated })},
	{"offer", text, none},
	{"offer_type", text, none},
	{"first_seen_time", timestamp, moment(func(t *transaction) time.Time { return t.seen })},
	{"auto_resume_time", timestamp, none},
	{"enrolled_experiments_by_layer", object, fixed(`{"default": {"experiment_id": "prexp3a8a234abc", "variant": "a"}}`)},
}
