package wire

import "testing"

// TestReasons freezes the numbers and names.
func TestReasons(t *testing.T) {
	frozen := []struct {
		number Reason
		name   string
		reason Reason
	}{
		{1, "unauth", ReasonUnauth},
		{2, "cap_invalid", ReasonCapInvalid},
		{3, "unknown_kind", ReasonUnknownKind},
		{4, "policy_denied", ReasonPolicyDenied},
		{5, "busy", ReasonBusy},
		{6, "too_large", ReasonTooLarge},
		{7, "timeout", ReasonTimeout},
		{8, "internal", ReasonInternal},
		{9, "malformed", ReasonMalformed},
		{10, "conflict", ReasonConflict},
		{11, "insufficient_funds", ReasonInsufficientFunds},
		{12, "unbalanced", ReasonUnbalanced},
		{13, "unknown_ref", ReasonUnknownRef},
		{14, "already_reversed", ReasonAlreadyReversed},
		{15, "overflow", ReasonOverflow},
		{16, "safe_mode", ReasonSafeMode},
		{17, "disk_pressure", ReasonDiskPressure},
		{18, "draining", ReasonDraining},
	}
	for _, row := range frozen {
		if row.reason != row.number || row.reason.String() != row.name {
			t.Errorf("%v is number %d, want %s as %d", row.reason, row.reason, row.name, row.number)
		}
		if parsed, ok := ParseReason(row.name); !ok || parsed != row.reason {
			t.Errorf("%s parses as %v, %v", row.name, parsed, ok)
		}
	}
	if len(Reasons()) != len(frozen) {
		t.Errorf("%d reasons, %d have a row here", len(Reasons()), len(frozen))
	}
	if _, ok := ParseReason("none"); ok || Reason(0).String() != "none" || Reason(200).String() != "reason_200" {
		t.Error("unknown reasons have wrong names")
	}
}

// TestKinds freezes the numbers, the names and what the kinds need.
func TestKinds(t *testing.T) {
	frozen := []struct {
		number            Kind
		name              string
		counterparty, ref bool
	}{
		{1, "Credit", false, false}, {2, "Debit", false, false}, {3, "Transfer", true, false}, {4, "Mint", false, false},
		{5, "Burn", false, false}, {6, "Hold", false, false}, {7, "Reverse", false, true}, {8, "Release", false, true},
		{9, "Capture", true, true},
	}
	for i, row := range frozen {
		k := Kinds()[i]
		if k != row.number || k.String() != row.name || k.HasCounterparty() != row.counterparty || k.HasRef() != row.ref {
			t.Errorf("%v is number %d, want %+v", k, k, row)
		}
		if parsed, ok := ParseKind(row.name); !ok || parsed != k {
			t.Errorf("%s parses as %v, %v", row.name, parsed, ok)
		}
	}
	for _, k := range []Kind{0, 10, KindEpoch, 255} {
		if _, ok := ParseKind(k.String()); ok || k.FromClient() {
			t.Errorf("%v can come from a client", k)
		}
	}
	if len(Kinds()) != len(frozen) || KindEpoch.String() != "Epoch" {
		t.Error("a kind has no row here")
	}
}

// TestFrameTypes freezes the numbers and names of the frames.
func TestFrameTypes(t *testing.T) {
	frozen := map[FrameType]string{
		0x01: "HELLO", 0x02: "WELCOME", 0x03: "AUTH", 0x04: "OK", 0x10: "APPEND", 0x11: "APPENDED",
		0x20: "ROOTS", 0x21: "ROOTS_ANSWER", 0x22: "ENTRIES", 0x23: "ENTRIES_ANSWER", 0x24: "ACCOUNT", 0x25: "ACCOUNT_ANSWER",
		0x26: "PROVE", 0x27: "PROVE_ANSWER", 0x28: "WATCH", 0x29: "WATCH_ANSWER", 0x30: "STATUS", 0x31: "STATUS_ANSWER",
		0x40: "SNAPSHOT", 0x41: "SNAPSHOT_ANSWER", 0x42: "ADMIN", 0x43: "ADMIN_ANSWER", 0x7f: "ERROR", 0x05: "FRAME_05",
	}
	for number, name := range frozen {
		if number.String() != name {
			t.Errorf("type %02x is %v, want %s", uint8(number), number, name)
		}
	}
	for _, row := range []struct{ frame, answer FrameType }{
		{FrameHello, FrameWelcome}, {FrameAuth, FrameOK}, {FrameAppend, FrameAppended}, {FrameRoots, FrameRootsAnswer},
		{FrameEntries, FrameEntriesAnswer}, {FrameAccount, FrameAccountAnswer}, {FrameProve, FrameProveAnswer},
		{FrameWatch, FrameWatchAnswer}, {FrameStatus, FrameStatusAnswer}, {FrameSnapshot, FrameSnapshotAnswer},
		{FrameAdmin, FrameAdminAnswer},
	} {
		if row.answer != row.frame+1 {
			t.Errorf("%v is answered with %v", row.frame, row.answer)
		}
	}
	if OutcomeDuplicate != 1 || OutcomeRejected != 2 || OutcomeDuplicate.String() != "duplicate" ||
		OutcomeRejected.String() != "rejected" || Outcome(3).String() != "outcome_3" {
		t.Error("outcomes have other numbers or names")
	}
}

func TestFaultAsError(t *testing.T) {
	if err := (Fault{}).Err(); err != nil {
		t.Error(err)
	}
	fault := Fault{ReasonTooLarge, 4, "frame is longer than the limit"}
	if err := fault.Err(); err == nil || err.Error() != "too_large at byte 4: frame is longer than the limit" {
		t.Error(err)
	}
}
