#!/usr/bin/env python3
"""Writes clock_table.txt: when expressions come around every change of the clocks, found minute by minute.

    python3 clock_table.py > clock_table.txt

It shares nothing with Larder: the zones are Python's zoneinfo, the matching is below. The rules: a wall-clock time that
the clocks skip stands for the first instant after the gap, once however many are skipped; one that comes twice stands
for its first coming.
"""
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Atlantic/Azores"]
YEARS = [2026, 2027]
DAILY = ["30 2 * * *", "0 0 * * *", "15 1 * * *", "0 */6 * * *"]
OFTEN = ["*/20 * * * *", "10,45 0-3 * * *"]
RARE = ["0 0 31 * *", "30 2 29 2 *", "0 12 1 */2 *", "0 2 * * 0"]
MINUTE = timedelta(minutes=1)


def numbers(field, low, high):
    found = set()
    for part in field.split(","):
        part, _, step = part.partition("/")
        first, last = (low, high) if part == "*" else (int(part.split("-")[0]), int(part.split("-")[-1]))
        found.update(range(first, last + 1, int(step or 1)))
    return found


def matcher(expression):
    minute, hour, day, month, weekday = expression.split()
    minutes, hours = numbers(minute, 0, 59), numbers(hour, 0, 23)
    days, months, weekdays = numbers(day, 1, 31), numbers(month, 1, 12), numbers(weekday, 0, 6)

    def fits(wall):
        of_month, of_week = wall.day in days, (wall.weekday() + 1) % 7 in weekdays
        if day != "*" and weekday != "*":
            right_day = of_month or of_week
        else:
            right_day = of_month and of_week
        return right_day and wall.minute in minutes and wall.hour in hours and wall.month in months

    return fits


def offset(moment, zone):
    return moment.astimezone(zone).utcoffset()


def changes(zone):
    """Finds the first minute of each new offset, by halving days."""
    moment = datetime(YEARS[0], 1, 1, tzinfo=timezone.utc)
    while moment.year <= YEARS[-1]:
        following = moment + timedelta(days=1)
        if offset(moment, zone) != offset(following, zone):
            before, after = moment, following
            while after - before > MINUTE:
                middle = before + timedelta(minutes=(after - before) // MINUTE // 2)
                if offset(middle, zone) == offset(moment, zone):
                    before = middle
                else:
                    after = middle
            yield after
        moment = following


def coming(expression, zone, begin, end, step=MINUTE):
    fits, found = matcher(expression), []
    moment = begin
    while moment < end:
        wall = moment.astimezone(zone)
        skipped = offset(moment, zone) - offset(moment - MINUTE, zone)
        due = fits(wall) and wall.fold == 0
        if skipped > timedelta(0):
            gap = int(skipped / MINUTE)
            due = due or any(fits(wall.replace(tzinfo=None) - n * MINUTE) for n in range(1, gap + 1))
        if due:
            found.append(moment)
        moment += step
    return found


def line(expression, name, begin, end):
    text = " ".join(moment.strftime("%Y-%m-%dT%H:%M") for moment in coming(expression, ZoneInfo(name), begin, end))
    print(name, expression, begin.strftime("%Y-%m-%dT%H:%M"), end.strftime("%Y-%m-%dT%H:%M"), text, sep="|")


print("# Written by clock_table.py: zone|expression|from|until|instants, all in UTC.")
for name in ZONES:
    for change in changes(ZoneInfo(name)):
        for expression in DAILY:
            line(expression, name, change - timedelta(hours=36), change + timedelta(hours=36))
        for expression in OFTEN:
            line(expression, name, change - timedelta(hours=5), change + timedelta(hours=5))
for name in ZONES:
    for expression in RARE[:2]:
        line(expression, name, datetime(2027, 11, 1, tzinfo=timezone.utc), datetime(2028, 4, 15, tzinfo=timezone.utc))
    for expression in RARE[2:]:
        line(expression, name, datetime(2026, 2, 20, tzinfo=timezone.utc), datetime(2026, 4, 20, tzinfo=timezone.utc))
