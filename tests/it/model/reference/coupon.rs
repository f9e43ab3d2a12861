//! Coupons: given, reserved, used, reverted.

use serde_json::Value;

use super::super::program::{COUPON_DAYS, COUPONS_PER_MEMBER, RESERVED_FOR};
use super::super::purse::{DAY, Instant};
use super::super::steps::CouponDeed;
use super::{Call, Expected, Last, Reference};

#[derive(Debug, Clone)]
pub(in super::super) struct Coupon {
    /// Whose it is.
    pub(super) owner: usize,
    given_to: usize,
    given_at: Instant,
    reserved_until: Option<Instant>,
    pub(in super::super) used: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Usage {
    pub(super) coupon: usize,
    pub(super) by: usize,
    pub(super) reverted: bool,
}

impl Coupon {
    pub(super) fn is_reserved(&self, now: Instant) -> bool {
        self.reserved_until.is_some_and(|until| until > now)
    }
}

impl Reference {
    pub(super) fn give(&mut self, named: usize) {
        let member = self.living(named);
        let has = self.coupons.iter().filter(|coupon| self.living(coupon.given_to) == member).count();
        let expected = if has < COUPONS_PER_MEMBER {
            let (given_at, reserved_until) = (self.now, None);
            self.coupons.push(Coupon { owner: member, given_to: member, given_at, reserved_until, used: 0 });
            Expected::Done
        } else {
            Expected::Refused("coupon_member_limit_reached")
        };
        self.send(member, Call::Command(named, "coupons", Value::Null), expected);
    }

    pub(super) fn coupon(&mut self, coupon: usize, named: usize, deed: CouponDeed) {
        let member = self.living(named);
        let usage = self.usages.iter().rposition(|usage| usage.coupon == coupon);
        if deed == CouponDeed::Revert && usage.is_none() {
            self.last = Last::Nothing;
            return;
        }
        let usage = usage.filter(|_| deed == CouponDeed::Revert);
        let expected = match self.play(coupon, member, deed, usage) {
            Ok(()) => Expected::Done,
            Err(why) => Expected::Refused(why),
        };
        self.send(member, Call::Coupon(coupon, named, deed, usage), expected);
    }

    fn play(
        &mut self,
        at: usize,
        member: usize,
        deed: CouponDeed,
        usage: Option<usize>,
    ) -> Result<(), &'static str> {
        let now = self.now;
        let used_by_member = |usage: &&Usage| self.living(usage.by) == member && !usage.reverted;
        let uses = self.usages.iter().filter(used_by_member).count();
        let is_theirs = self.living(self.coupons[at].owner) == member;
        let did_it = usage.is_some_and(|usage| self.living(self.usages[usage].by) == member);
        let coupon = &mut self.coupons[at];
        coupon.reserved_until = coupon.reserved_until.filter(|until| *until > now);
        let may_use = if !is_theirs {
            Err("coupon_recipient_does_not_match")
        } else if now >= coupon.given_at + COUPON_DAYS * DAY {
            Err("coupon_expired")
        } else if coupon.used > 0 {
            Err("coupon_exhausted")
        } else if uses >= COUPONS_PER_MEMBER {
            Err("coupon_member_limit_reached")
        } else {
            Ok(())
        };
        match deed {
            CouponDeed::Use => {
                may_use?;
                coupon.used += 1;
                coupon.reserved_until = None;
                self.usages.push(Usage { coupon: at, by: member, reverted: false });
            }
            CouponDeed::Reserve => {
                may_use?;
                coupon.reserved_until = Some(now + RESERVED_FOR);
            }
            CouponDeed::Release => {
                let reserved = coupon.reserved_until.take_if(|_| is_theirs);
                reserved.ok_or("coupon_reservation_missing")?;
            }
            CouponDeed::Revert => {
                let usage = usage.and_then(|usage| self.usages.get_mut(usage)).ok_or("no usage")?;
                if !did_it {
                    return Err("coupon_recipient_does_not_match");
                }
                if usage.reverted {
                    return Err("coupon_already_reverted");
                }
                usage.reverted = true;
                coupon.used -= 1;
            }
        }
        Ok(())
    }

    pub(super) fn owners(&self) -> Vec<usize> {
        self.coupons.iter().map(|coupon| coupon.owner).collect()
    }
}
