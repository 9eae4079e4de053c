package main

import (
	"fmt"
	"time"

	"github.com/sluice-gems/sluice/internal/books"
)

// printAttention lists spends that need somebody and, below, the commands that
// settle them.
func printAttention(io stdio, list []books.Attention, asJSON bool) error {
	if asJSON {
		spends := make([]map[string]any, len(list))
		for i, a := range list {
			spends[i] = spendJSON(a.Spend)
			if a.Unknown != nil {
				spends[i]["unknown"] = a.Unknown
			}
		}
		return printJSON(io, map[string]any{"spends": spends})
	}
	w := table(io, "SPEND\tSTATE\tCOST\tACCEPTED\tATTEMPT\tWHY")
	for _, a := range list {
		attempt := ""
		if a.Unknown != nil {
			attempt = fmt.Sprint(a.Unknown.Attempt)
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", a.Spend.ID, a.Spend.State, a.Spend.Cost, a.Spend.AcceptedAt.UTC().Format(time.RFC3339), attempt, why(a))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, a := range list {
		printSettle(io, a.Spend.ID, a.Unknown)
		printDecision(io, a.Spend)
	}
	return nil
}

// why says what a spend needs somebody for.
func why(a books.Attention) string {
	switch {
	case a.Spend.NeedsOperator != "":
		return a.Spend.NeedsOperator
	case a.Spend.Held:
		return "held by an operator"
	case a.Unknown == nil:
		return "outcome unknown since " + a.Spend.UnknownSince.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s unknown since %s: %s", a.Unknown.Purpose, a.Spend.UnknownSince.UTC().Format(time.RFC3339), a.Unknown.LastError)
}

// printSettle prints the commands that settle a call of unknown outcome, one of which
// is true; nothing when there is no such call.
func printSettle(io stdio, spendID string, call *books.StoryAdjustment) {
	if call == nil {
		return
	}
	_, _ = fmt.Fprintf(io.Out, "\nThe %s of %s, as of attempt %d:\n", call.Purpose, spendID, call.Attempt)
	for _, word := range []string{"charged", "not-charged"} {
		_, _ = fmt.Fprintln(io.Out, "  "+settleCommand(spendID, call.Attempt, word))
	}
}
