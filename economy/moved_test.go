package economy

import "testing"

// The exported steps ask before they move; this is the net below them.
func TestAForbiddenMovePanicsBeforeItCostsMoney(t *testing.T) {
	t.Parallel()
	for _, kind := range Kinds {
		for _, from := range States {
			for _, to := range States {
				func() {
					defer func() {
						if panicked := recover() != nil; panicked == CanMove(kind, from, to) {
							t.Errorf("%s, %s to %s: panicked %v", kind, from, to, panicked)
						}
					}()
					if moved := (Spend{Kind: kind, State: from}).moved(to, ""); moved.State != to {
						t.Errorf("%s, %s to %s: is %s", kind, from, to, moved.State)
					}
				}()
			}
		}
	}
}
