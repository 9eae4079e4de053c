// The app's side of Sluice for Flutter, with the packages http and shared_preferences. Copy
// this file and change what you like; docs/client/README.md says why each rule is there.
import 'dart:async';
import 'dart:convert';
import 'dart:math';

import 'package:http/http.dart' as http;
import 'package:shared_preferences/shared_preferences.dart';

/// What the app keeps of a tap until it has a final answer.
class Tap {
  const Tap(this.key, this.item, this.quantity);

  factory Tap.fromJson(Map<String, dynamic> json) =>
      Tap(json['key'] as String, json['item'] as String, json['quantity'] as int);

  final String key;
  final String item;
  final int quantity;

  Map<String, dynamic> toJson() => {'key': key, 'item': item, 'quantity': quantity};
}

/// How a tap ended. Only [Working] is not final: its key is kept, and resume() goes on.
sealed class Outcome {
  const Outcome();
}

class Bought extends Outcome {
  const Bought(this.spend);
  final Map<String, dynamic> spend;
}

class NotEnough extends Outcome {
  const NotEnough(this.text);
  final String text;
}

class GivenBack extends Outcome {
  const GivenBack(this.text);
  final String text;
}

class Refused extends Outcome {
  const Refused(this.text, this.problem);
  final String text;
  final String problem;
}

class Working extends Outcome {
  const Working();
}

class SluiceException implements Exception {
  const SluiceException(this.text);
  final String text;
}

class _Answer {
  const _Answer(this.status, this.retryAfter, this.body);
  final int status;
  final double? retryAfter;
  final Map<String, dynamic> body;
}

/// One object for the whole app. refreshBalance, with RevenueCat's SDK:
///
///     await Purchases.invalidateVirtualCurrenciesCache();
///     balances = await Purchases.getVirtualCurrencies();
class Sluice {
  Sluice({
    required this.base,
    required String player,
    required this.preferences,
    required this.session,
    required this.refreshBalance,
  }) : _place = 'sluice.taps.$player';

  final String base;
  final SharedPreferences preferences;
  final Future<String> Function(bool renew) session; // your login's token
  final Future<void> Function() refreshBalance;

  final String _place;
  final Random _random = Random.secure();
  final Map<String, Future<Outcome>> _running = {};

  /// One tap, one key: made here, stored before the first request, forgotten after a final answer.
  Future<Outcome> spend(String item, {int quantity = 1}) async {
    final key = List.generate(32, (_) => _random.nextInt(16).toRadixString(16)).join();
    final tap = Tap(key, item, quantity);
    await _save([..._kept(), tap]);
    return _finish(tap);
  }

  /// Goes on with every tap that has no final answer: call it when the app starts and when it is online again.
  Future<List<Outcome>> resume() => Future.wait(_kept().map(_finish));

  /// Brings one tap to its end; the same tap twice at once is one.
  Future<Outcome> _finish(Tap tap) =>
      _running.putIfAbsent(tap.key, () => _pursue(tap).whenComplete(() { _running.remove(tap.key); }));

  Future<Outcome> _pursue(Tap tap) async {
    final until = DateTime.now().add(const Duration(minutes: 1));
    String? accepted; // the spend's id, once it has one
    for (var attempt = 0;; attempt++) {
      final answer = accepted == null
          ? await _call('POST', '/spend', {'item': tap.item, 'quantity': tap.quantity, 'idempotencyKey': tap.key})
          : await _call('GET', '/spends/$accepted');
      final outcome = answer == null ? null : (accepted == null ? _decided(answer) : _ended(answer.body));
      if (outcome != null) {
        await _save(_kept().where((kept) => kept.key != tap.key).toList());
        if (outcome is Bought || outcome is GivenBack) {
          try { await refreshBalance(); } on Exception catch (_) {} // a balance that cannot be read now undoes nothing
        }
        return outcome;
      }
      if (answer?.status == 202) {
        accepted = (answer!.body['spend'] as Map<String, dynamic>)['id'] as String; // also its Location
      }
      final wait = _pause(answer, attempt);
      if (DateTime.now().add(wait).isAfter(until)) return const Working();
      await Future<void>.delayed(wait);
    }
  }

  /// "I bought this with money": shown as pending until RevenueCat tells of it. Call it after each purchase.
  Future<void> claim(String store, String transactionId, String productId) async {
    await _must('POST', '/purchases/claims', {'store': store, 'transaction_id': transactionId, 'product_id': productId});
  }

  /// Has the player's purchases read again. Call it after Purchases.restorePurchases().
  Future<void> restore() async {
    for (var attempt = 0;; attempt++) {
      final answer = await _must('POST', '/purchases/restore', null);
      if (answer.status == 200) break;
      await Future<void>.delayed(_pause(answer, attempt));
    }
    await refreshBalance();
  }

  /// One request; null when no answer came. A refused session is renewed once.
  Future<_Answer?> _call(String method, String path, [Map<String, dynamic>? body]) async {
    for (final renew in [false, true]) {
      try {
        final request = http.Request(method, Uri.parse(base + path));
        request.headers['Authorization'] = 'Bearer ${await session(renew)}';
        if (body != null) {
          request.headers['Content-Type'] = 'application/json';
          request.body = jsonEncode(body);
        }
        final response = await http.Response.fromStream(await request.send()).timeout(const Duration(seconds: 45));
        if (response.statusCode == 401 && !renew) continue;
        final json = response.body.startsWith('{') ? jsonDecode(response.body) as Map<String, dynamic> : <String, dynamic>{};
        return _Answer(response.statusCode, double.tryParse(response.headers['retry-after'] ?? ''), json);
      } on Exception {
        return null; // offline, timed out, cut off: nobody knows whether it arrived, and the key makes a repeat safe
      }
    }
    return null;
  }

  /// A call that may be repeated as it is: all of them but spends, which have their keys.
  Future<_Answer> _must(String method, String path, Map<String, dynamic>? body) async {
    for (var attempt = 0; attempt < 8; attempt++) {
      final answer = await _call(method, path, body);
      if (answer != null && answer.status < 300) return answer;
      if (answer != null && answer.status != 429 && answer.status != 503) {
        throw SluiceException(answer.body['error'] as String? ?? 'Please try again in a moment');
      }
      await Future<void>.delayed(_pause(answer, attempt));
    }
    throw const SluiceException('Please try again in a moment');
  }

  /// Reads an answer to POST /spend; null: it is not final, go on with the same key.
  Outcome? _decided(_Answer answer) {
    final text = answer.body['error'] as String? ?? 'Something went wrong, please try again';
    final problem = (answer.body['type'] as String? ?? '').replaceFirst('https://sluice.dev/problems/', '');
    switch (answer.status) {
      case 200:
        return Bought(answer.body['spend'] as Map<String, dynamic>);
      case 402:
        return NotEnough(text);
      case 403:
        return problem == 'spend-refunded' ? GivenBack(text) : Refused(text, problem);
      case 500:
        return problem == 'item-not-handed-over' ? GivenBack(text) : null;
      case 502:
        return problem == 'provider-refused' ? Refused(text, problem) : null; // a proxy's own 502 decides nothing
      case 400 || 404 || 409 || 413 || 415:
        return Refused(text, problem);
      default:
        return null; // 202, 401, 429, 503, and whatever a proxy says
    }
  }

  /// Reads a spend from GET /spends/{id}; null: it is still under way.
  Outcome? _ended(Map<String, dynamic> spend) {
    switch (spend['state']) {
      case 'fulfilled':
        return Bought(spend);
      case 'refunded':
        return const GivenBack('Your gems are back');
      case 'declined':
        return spend['reason'] == 'insufficient_funds'
            ? const NotEnough('Not enough gems')
            : Refused('This purchase was refused', '${spend['reason']}');
      default:
        return null;
    }
  }

  /// How long to wait: what Retry-After says, else longer each time, never in step with others.
  Duration _pause(_Answer? answer, int attempt) {
    final told = answer?.retryAfter ?? 0;
    if (told > 0) return Duration(milliseconds: (told * 1000).round() + _random.nextInt(250));
    final longest = min(15000, 500 * pow(2, min(attempt, 10)));
    return Duration(milliseconds: (longest * (0.5 + _random.nextDouble() / 2)).round());
  }

  List<Tap> _kept() => [
        for (final tap in jsonDecode(preferences.getString(_place) ?? '[]') as List<dynamic>)
          Tap.fromJson(tap as Map<String, dynamic>),
      ];

  Future<void> _save(List<Tap> taps) => preferences.setString(_place, jsonEncode(taps));
}
